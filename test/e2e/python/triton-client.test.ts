import assert from 'node:assert/strict';
import path from 'node:path';
import { ROOT, ServingKernel } from '../serving-kernel.ts';
import { sumConfig, sumModel } from '../../plugins/serving/sequence-model.ts';
import { needTool, runTool } from '../tool.ts';
import { pythonWithClient } from './client-python.ts';

interface Failure {
  readonly status: string;
  readonly message: string;
}

interface Report {
  readonly grpc: {
    readonly controlled: readonly unknown[];
    readonly sequences: readonly (readonly number[])[];
    readonly no_start: Failure;
    readonly settings: readonly unknown[];
    readonly live: boolean;
    readonly ready: boolean;
    readonly model_ready: boolean;
    readonly server: string;
    readonly extensions: readonly string[];
    readonly inputs: readonly unknown[];
    readonly outputs: readonly unknown[];
    readonly max_batch_size: number;
    readonly labels: readonly number[];
    readonly probabilities_shape: readonly number[];
    readonly id: string;
    readonly concurrent: Readonly<Record<string, number>>;
    readonly stream: readonly number[];
    readonly classes: readonly string[];
    readonly unknown: Failure;
    readonly shape: Failure;
    readonly index: readonly unknown[];
    readonly inference_count: number;
    readonly execution_count: number;
  };
  readonly http: {
    readonly live: boolean;
    readonly ready: boolean;
    readonly model_ready: boolean;
    readonly server: string;
    readonly inputs: readonly unknown[];
    readonly binary: readonly number[];
    readonly probabilities_shape: readonly number[];
    readonly json: readonly number[];
    readonly classes: readonly string[];
    readonly unknown: Failure;
    readonly index: readonly { readonly name: string; readonly state: string }[];
  };
}

describe("NVIDIA's Python client, unmodified", function () {
  this.timeout(300_000);
  let kernel: ServingKernel;
  let report: Report;

  before(async function () {
    const python = await needTool(this, 'Python with tritonclient', pythonWithClient);
    kernel = await ServingKernel.start();
    await kernel.register('sum', sumModel());
    const script = path.join(ROOT, 'test', 'e2e', 'python', 'client.py');
    const parameters = [kernel.grpc, kernel.http, await kernel.ownerToken(), sumConfig()];
    report = JSON.parse(await runTool(python, [script, ...parameters])) as Report;
  });
  after(async () => {
    // Not there when the suite was skipped.
    await (kernel as ServingKernel | undefined)?.stop();
  });

  it('sees the server and the model over gRPC', () => {
    const { live, ready, model_ready, server, extensions, inputs, outputs, max_batch_size, index } =
      report.grpc;
    assert.deepEqual([live, ready, model_ready, server], [true, true, true, 'lamella']);
    assert.ok(extensions.includes('model_repository'));
    assert.deepEqual(inputs, [['image', 'UINT8', [-1, 28, 28]]]);
    assert.deepEqual(outputs, [
      ['probabilities', 'FP32', [-1, 10]],
      ['label', 'INT64', [-1]],
    ]);
    assert.equal(max_batch_size, 64);
    assert.deepEqual(index, [
      ['digits', 'READY'],
      ['sum', 'READY'],
    ]);
  });

  it('infers over gRPC, one call, many at once and as a stream', () => {
    const { labels, probabilities_shape, id, concurrent, stream } = report.grpc;
    assert.deepEqual(labels, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert.deepEqual(probabilities_shape, [10, 10]);
    assert.equal(id, 'ten');
    assert.equal(Object.keys(concurrent).length, 50);
    for (const [index, label] of Object.entries(concurrent)) assert.equal(label, Number(index) % 10);
    assert.deepEqual(stream, [7, 3]);
    assert.match(report.grpc.classes.join(), /^[01]\.\d{6}:6$/);
  });

  it('counts rows and runs as Triton does', () => {
    const { inference_count, execution_count } = report.grpc;
    assert.equal(inference_count, 63);
    assert.ok(execution_count >= 3 && execution_count <= 54, String(execution_count));
  });

  it('loads with another configuration, unloads and loads again', () => {
    assert.deepEqual(report.grpc.controlled, [8, 'all', false, true]);
  });

  it('sends sequences call by call and as a stream', () => {
    assert.deepEqual(report.grpc.sequences, [
      [420_101, 420_003, 421_006],
      [110, 1_030],
    ]);
    assert.equal(report.grpc.no_start.status, 'StatusCode.INVALID_ARGUMENT');
    assert.match(report.grpc.no_start.message, /must specify the START flag/);
  });

  it('changes trace and log settings', () => {
    assert.deepEqual(report.grpc.settings, [['TIMESTAMPS'], ['7'], true]);
  });

  it('gets the errors it knows over gRPC', () => {
    const { unknown, shape } = report.grpc;
    assert.equal(unknown.status, 'StatusCode.NOT_FOUND');
    assert.match(unknown.message, /^Request for unknown model: 'nothing'/);
    assert.equal(shape.status, 'StatusCode.INVALID_ARGUMENT');
    assert.match(shape.message, /Expected \[-1,28,28\], got \[1,3\]/);
  });

  it('infers over HTTP with binary tensors and with JSON', () => {
    const { live, ready, model_ready, server, inputs, binary, probabilities_shape, json, index } =
      report.http;
    assert.deepEqual([live, ready, model_ready, server], [true, true, true, 'lamella']);
    assert.deepEqual(inputs, [{ name: 'image', datatype: 'UINT8', shape: [-1, 28, 28] }]);
    assert.deepEqual(binary, [4, 2]);
    assert.deepEqual(json, [4, 2]);
    assert.match(report.http.classes.join(), /^[01]\.\d{6}:4,[01]\.\d{6}:2$/);
    assert.deepEqual(probabilities_shape, [2, 10]);
    assert.deepEqual(
      index.map(({ name, state }) => [name, state]),
      [
        ['digits', 'READY'],
        ['sum', 'READY'],
      ],
    );
  });

  it('gets the errors it knows over HTTP', () => {
    assert.equal(report.http.unknown.status, '404');
    assert.match(report.http.unknown.message, /^Request for unknown model: 'nothing'/);
  });
});
