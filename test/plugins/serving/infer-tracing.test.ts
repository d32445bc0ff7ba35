import assert from 'node:assert/strict';
import path from 'node:path';
import { create } from '@bufbuild/protobuf';
import { GRPCInferenceService } from 'lamella/proto/inference/grpc_inference_service';
import {
  type CreateVersionRequest,
  CreateVersionRequestSchema,
  RegistryService,
} from 'lamella/proto/lamella/model/v1/registry_service';
import { startTestKernel, type TestKernel } from 'lamella/sdk/testing';
import { lightModel } from '../../e2e/serving-kernel.ts';
import { Collector, type ReceivedSpan } from '../../support/otlp/collector.ts';

const SPAN_ID = 'b7ad6b7169203331';

/** A trace of its own for each request. */
function traceId(number: number): string {
  return String(number).padStart(32, '1');
}

async function* versionParts(): AsyncGenerator<CreateVersionRequest> {
  yield create(CreateVersionRequestSchema, { part: { case: 'header', value: { model: 'digits' } } });
  yield create(CreateVersionRequestSchema, { part: { case: 'chunk', value: lightModel() } });
}

describe('traces of inference', function () {
  this.timeout(60_000);
  let collector: Collector;
  let kernel: TestKernel;

  beforeEach(async () => {
    collector = new Collector();
    await collector.start();
    kernel = await startTestKernel({
      plugins: ['model/registry', 'serving/infer'].map((box) => path.resolve('dist/plugins', box)),
      config: { tracing: { endpoint: collector.httpEndpoint, serviceName: 'node', sampleRatio: 0 } },
    });
    const registry = kernel.call(RegistryService);
    const { version } = await registry.createVersion(versionParts());
    await registry.setAlias({ name: 'models/digits/aliases/champion', version: version?.name ?? '' });
    await kernel.call(GRPCInferenceService).repositoryModelLoad({ modelName: 'digits' });
  });

  afterEach(async () => {
    await kernel.stop();
    collector.close();
  });

  function traceparent(number: number, flags = '01'): string {
    return `00-${traceId(number)}-${SPAN_ID}-${flags}`;
  }

  async function infer(rows: number, headers: readonly (readonly [string, string])[]): Promise<unknown> {
    const inputs = [{ name: 'image', datatype: 'UINT8', shape: [BigInt(rows), 28n, 28n] }];
    const rawInputContents = [new Uint8Array(rows * 784)];
    const request = { modelName: 'digits', inputs, rawInputContents };
    return kernel.call(GRPCInferenceService).modelInfer(request, { headers });
  }

  function named(spans: readonly ReceivedSpan[], name: string): ReceivedSpan {
    return spans.find((span) => span.name === name) ?? assert.fail(`no ${name} in ${JSON.stringify(spans)}`);
  }

  it('go through queue and computation, and a batch is linked to all requests that it served', async () => {
    await Promise.all([1, 2, 3].map((number) => infer(number, [['traceparent', traceparent(number)]])));
    await kernel.stop();
    const served = collector.spans.filter(
      ({ service, name }) => service === 'serving.infer' && name.endsWith('/ModelInfer'),
    );
    assert.equal(served.length, 3);
    const batches = collector.spans.filter(({ name }) => name === 'batch');
    assert.equal(batches.length, 1);
    const [batch] = batches;
    assert.deepEqual(batch?.attributes, { 'lamella.batch.requests': '3', 'lamella.batch.rows': '6' });
    assert.deepEqual(batch?.links.toSorted(), served.map(({ spanId }) => spanId).toSorted());
    assert.ok(served.some(({ spanId }) => spanId === batch?.parentId));
    for (const { spanId, traceId: trace } of served) {
      const parts = collector.spans.filter(({ parentId }) => parentId === spanId);
      const [queue, compute] = [named(parts, 'queue'), named(parts, 'compute')];
      assert.deepEqual([queue.traceId, compute.traceId], [trace, trace]);
      assert.deepEqual(compute.links, [batch?.spanId]);
      assert.equal(compute.attributes['lamella.model'], 'digits');
      assert.equal(compute.attributes['lamella.model_version'], '1');
      assert.ok(Number(compute.attributes['lamella.infer_ms']) > 0);
      assert.equal(queue.endNs, compute.startNs);
      const whole = served.find((one) => one.spanId === spanId);
      assert.ok(whole !== undefined);
      // Both clocks are as fine as a millisecond.
      assert.ok(queue.startNs >= whole.startNs - 5_000_000n && compute.endNs <= whole.endNs + 5_000_000n);
    }
  });

  it('go through them over REST too', async () => {
    const data = Array.from({ length: 784 }, () => 0);
    const inputs = [{ name: 'image', datatype: 'UINT8', shape: [1, 28, 28], data }];
    const response = await fetch(`http://${kernel.addresses.http}/v2/models/digits/infer`, {
      method: 'POST',
      headers: { traceparent: traceparent(4) },
      body: JSON.stringify({ inputs }),
    });
    assert.equal(response.status, 200);
    await response.json();
    await kernel.stop();
    const spans = collector.spans.filter((span) => span.traceId === traceId(4));
    const request = named(spans, 'POST');
    assert.deepEqual(
      spans.filter(({ parentId }) => parentId === request.spanId).map(({ name, service }) => [service, name]),
      [
        ['serving.infer', 'queue'],
        ['serving.infer', 'compute'],
      ],
    );
  });

  it('are not made for requests that nobody wants to see', async () => {
    await Promise.all([infer(1, [['traceparent', traceparent(5, '00')]]), infer(1, [])]);
    await kernel.stop();
    assert.deepEqual(collector.spans, []);
  });
});
