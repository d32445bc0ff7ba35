import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { create, fromJson, toJson } from '@bufbuild/protobuf';
import { Code } from 'lamella/sdk';
import {
  ModelConfigRequestSchema,
  ModelInferRequestSchema,
  ModelMetadataRequestSchema,
} from 'lamella/proto/inference/grpc_inference_service';
import { ModelConfigSchema } from 'lamella/proto/inference/model_config';
import { readBytesTensor } from '../../../plugins/serving/infer/bytes-tensor.ts';
import type { InferConfig } from '../../../plugins/serving/infer/config.ts';
import { eventually } from '../../support/eventually.ts';
import { addModel, callContext } from './infer-fixture.ts';
import { InferSubject, rawRequest, rejection } from './infer-subject.ts';

describe('model repositories of serving.infer', function () {
  this.timeout(120_000);
  let folder: string;
  let subject: InferSubject;

  const put = async (file: string, content: string | Uint8Array): Promise<void> => {
    const target = path.join(folder, file);
    await mkdir(path.dirname(target), { recursive: true });
    await writeFile(target, content);
  };
  const open = (config: Partial<InferConfig> = {}, before?: InferSubject): InferSubject =>
    new InferSubject(before, { modelRepositories: [folder], ...config });
  const inferVersion = (modelVersion: string, modelName = 'm'): Promise<number[]> =>
    subject.infer(rawRequest([1, 2], { modelName, modelVersion }));
  const configOf = async (name: string): Promise<unknown> => {
    const request = create(ModelConfigRequestSchema, { name });
    const { config } = await subject.service.modelConfig(request, callContext());
    return toJson(ModelConfigSchema, create(ModelConfigSchema, config), { useProtoFieldName: true });
  };

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'lamella-models-'));
    subject = open();
  });
  afterEach(async () => {
    await subject.repository.close();
    await rm(folder, { recursive: true, force: true });
  });

  it("loads the newest version of a folder in Triton's layout and completes its configuration", async () => {
    for (const version of [1, 2]) await put(`m/${version}/model.onnx`, addModel(version));
    // Neither is a version.
    await put('m/03/model.onnx', addModel(3));
    await put('m/notes/readme.txt', 'no model');
    await subject.loadWith('m');
    assert.deepEqual(await inferVersion(''), [3, 4]);
    assert.equal((await rejection(() => inferVersion('1'))).code, Code.NOT_FOUND);
    assert.deepEqual(await configOf('m'), {
      name: 'm',
      platform: 'onnxruntime_onnx',
      backend: 'onnxruntime',
      version_policy: { latest: { num_versions: 1 } },
      max_batch_size: 64,
      input: [{ name: 'x', data_type: 'TYPE_UINT8', dims: ['2'] }],
      output: [
        { name: 'sum', data_type: 'TYPE_FP32', dims: ['2'] },
        { name: 'copy', data_type: 'TYPE_UINT8', dims: ['2'] },
      ],
      instance_group: [{ name: 'm_0', count: 1, kind: 'KIND_CPU' }],
      default_model_filename: 'model.onnx',
      dynamic_batching: {},
    });
  });

  it('obeys config.pbtxt: versions, file name, batch, dimensions, outputs and instances', async () => {
    await put(
      'm/config.pbtxt',
      `# as written by hand
       name: "m"  platform: "onnxruntime_onnx"  max_batch_size: 2
       version_policy { specific { versions: [1, 3] } }
       default_model_filename: "add.onnx"
       input [ { name: "x" data_type: TYPE_UINT8 dims: [ 1, 2 ] reshape { shape: [ 2 ] } } ]
       output [ { name: "sum" data_type: TYPE_FP32 dims: [ 2, 1 ] reshape: { shape: 2 } } ]
       instance_group [ { count: 2 kind: KIND_CPU } ]`,
    );
    for (const version of [1, 2, 3]) await put(`m/${version}/add.onnx`, addModel(version));
    await subject.loadWith('m');
    const inputs = [{ name: 'x', datatype: 'UINT8', shape: [2n, 1n, 2n] }];
    const request = { modelName: 'm', inputs, rawInputContents: [Uint8Array.of(1, 2, 3, 4)] };
    const answer = await subject.service.modelInfer(create(ModelInferRequestSchema, request), callContext());
    assert.equal(answer.modelVersion, '3');
    assert.deepEqual(answer.outputs, [{ name: 'sum', datatype: 'FP32', shape: [2n, 2n, 1n] }]);
    assert.deepEqual(await subject.infer({ ...request, modelVersion: '1' }), [2, 3, 4, 5]);
    assert.equal(
      (await rejection(() => subject.infer({ ...request, modelVersion: '2' }))).code,
      Code.NOT_FOUND,
    );
    const metadata = await subject.service.modelMetadata(
      create(ModelMetadataRequestSchema, { name: 'm' }),
      callContext(),
    );
    assert.deepEqual(metadata.versions, ['1', '3']);
    assert.deepEqual(metadata.inputs, [{ name: 'x', datatype: 'UINT8', shape: [-1n, 1n, 2n] }]);
    const index = subject.repository.states().map(({ version, state }) => [version, state]);
    assert.deepEqual(index, [
      ['1', 'READY'],
      ['3', 'READY'],
    ]);
  });

  it('keeps versions that are the same over a reload, and everything when the reload fails', async () => {
    await put('m/config.pbtxt', 'version_policy { all {} }');
    await put('m/1/model.onnx', addModel(1));
    await subject.loadWith('m');
    const first = subject.repository.get('m', '1');
    await put('m/2/model.onnx', addModel(2));
    await subject.loadWith('m');
    assert.equal(subject.repository.get('m', '1'), first);
    assert.deepEqual(await inferVersion(''), [3, 4]);
    await put('m/3/model.onnx', 'broken');
    const { code, message } = await rejection(() => subject.loadWith('m'));
    assert.equal(code, Code.FAILED_PRECONDITION);
    assert.match(message, /^failed to load 'm'/);
    assert.equal(subject.repository.get('m', '1'), first);
    assert.deepEqual(subject.repository.versions('m'), ['1', '2']);
  });

  const refused: readonly { what: string; config: string; text: RegExp }[] = [
    { what: 'no protobuf text', config: 'max_batch_size: {', text: /config\.pbtxt is not valid/ },
    { what: 'an unknown field', config: 'batch: 2', text: /config\.pbtxt is not valid/ },
    { what: 'another name', config: 'name: "other"', text: /for a model named 'other'/ },
    {
      what: 'another platform',
      config: 'platform: "tensorflow_savedmodel"',
      text: /export the model as ONNX/,
    },
    { what: 'an unknown input', config: 'input { name: "q" }', text: /unexpected input 'q'/ },
    { what: 'an input twice', config: 'input [{ name: "x" }, { name: "x" }]', text: /unexpected input 'x'/ },
    {
      what: 'another type',
      config: 'input { name: "x" data_type: TYPE_FP32 }',
      text: /'x' is UINT8 in the file/,
    },
    {
      what: 'other dimensions',
      config: 'max_batch_size: 4 input { name: "x" dims: [ 3 ] }',
      text: /dimensions \[2\] in the file/,
    },
    { what: 'a batch below 0', config: 'max_batch_size: -1', text: /must be 0 or more/ },
    {
      what: 'a version that is not there',
      config: 'version_policy { specific { versions: 7 } }',
      text: /version 7/,
    },
    { what: 'a file outside', config: 'default_model_filename: "../../x"', text: /lies outside the folder/ },
    { what: 'labels outside', config: 'output { name: "sum" label_filename: "../x" }', text: /lies outside/ },
    {
      what: 'agents',
      config: 'model_repository_agents { agents { name: "a" } }',
      text: /agents is not supported/,
    },
    { what: 'too many instances', config: 'instance_group { count: 65 }', text: /more than 64 instances/ },
    {
      what: 'a warm-up of another shape',
      config:
        'model_warmup { name: "w" batch_size: 1 inputs { key: "x" value { data_type: TYPE_UINT8 dims: 3 zero_data: true } } }',
      text: /warm-up 'w' failed/,
    },
  ];
  for (const { what, config, text } of refused) {
    it(`refuses a configuration with ${what}`, async () => {
      await put('m/1/model.onnx', addModel(1));
      await put('m/config.pbtxt', config);
      const { code, message } = await rejection(() => subject.loadWith('m'));
      assert.equal(code, Code.FAILED_PRECONDITION);
      assert.match(message, /^failed to load 'm'/);
      assert.match(message, text);
    });
  }

  it('names classes by the label file, and warms up before it is ready', async () => {
    await put('m/1/model.onnx', addModel(1));
    await put('m/labels.txt', 'cat\ndog\n');
    await put('m/warmup/sample', Uint8Array.of(1, 2, 3, 4));
    await put(
      'm/config.pbtxt',
      `output [ { name: "sum" label_filename: "labels.txt" } ]
       model_warmup [ { name: "w" batch_size: 2 count: 2
         inputs { key: "x" value { data_type: TYPE_UINT8 dims: [ 2 ] input_data_file: "sample" } } } ]`,
    );
    await subject.loadWith('m');
    const outputs = [
      {
        name: 'sum',
        parameters: { classification: { parameterChoice: { case: 'int64Param' as const, value: 1n } } },
      },
    ];
    const request = create(ModelInferRequestSchema, rawRequest([1, 2], { modelName: 'm', outputs }));
    const { rawOutputContents = [] } = await subject.service.modelInfer(request, callContext());
    assert.deepEqual(readBytesTensor(rawOutputContents[0] ?? new Uint8Array(), ''), ['3.000000:1:dog']);
  });

  it('loads all models of the folders in the mode none, and then refuses to load them', async () => {
    await put('m/1/model.onnx', addModel(1));
    await put('broken/1/model.onnx', 'broken');
    subject = open({ modelControlMode: 'none' });
    await subject.repository.restore();
    assert.deepEqual(await inferVersion(''), [2, 3]);
    const states = subject.repository.states().map(({ name, state }) => [name, state]);
    assert.deepEqual(states, [
      ['m', 'READY'],
      ['broken', 'UNAVAILABLE'],
    ]);
    const { code, message } = await rejection(() => subject.loadWith('m'));
    assert.equal(code, Code.FAILED_PRECONDITION);
    assert.match(message, /explicit model load \/ unload is not allowed/);
  });

  it('follows the folders in the mode poll', async () => {
    await put('m/1/model.onnx', addModel(1));
    subject = open({ modelControlMode: 'poll' });
    await subject.repository.restore();
    assert.deepEqual(await inferVersion(''), [2, 3]);
    await put('m/2/model.onnx', addModel(2));
    await put('n/1/model.onnx', addModel(5));
    await eventually(() => subject.repository.has('m', '2') && subject.repository.has('n', ''));
    assert.deepEqual(await inferVersion(''), [3, 4]);
    await rm(path.join(folder, 'm'), { recursive: true });
    await eventually(() => !subject.repository.has('m', ''));
  });

  it('takes files and configuration with a load where that is allowed, over gRPC and REST', async () => {
    const parameters = { config: '{"max_batch_size": 4}', 'file:2/model.onnx': addModel(7) };
    const { code } = await rejection(() => subject.loadWith('sent', parameters));
    assert.equal(code, Code.FAILED_PRECONDITION);
    const allowed = open({ allowSentFiles: true });
    await subject.repository.close();
    subject = allowed;
    await subject.loadWith('sent', parameters);
    assert.deepEqual(await inferVersion('2', 'sent'), [8, 9]);
    // It outlives a restart.
    const next = open({ allowSentFiles: true }, subject);
    await subject.repository.close();
    subject = next;
    await subject.repository.restore();
    assert.deepEqual(await inferVersion('', 'sent'), [8, 9]);
    const body = JSON.stringify({
      parameters: { config: '{}', 'file:1/model.onnx': Buffer.from(addModel(3)).toString('base64') },
    });
    const path_ = '/v2/repository/models/sent/load';
    assert.equal((await subject.http(path_, { method: 'POST', body })).status, 200);
    assert.deepEqual(await inferVersion('', 'sent'), [4, 5]);
  });

  const badParameters: readonly { what: string; parameters: Record<string, string | Uint8Array> }[] = [
    { what: 'a file without a configuration', parameters: { 'file:1/model.onnx': Uint8Array.of(1) } },
    { what: 'a file outside', parameters: { config: '{}', 'file:../model.onnx': Uint8Array.of(1) } },
    { what: 'a file that is no base64', parameters: { config: '{}', 'file:1/model.onnx': '!!!!' } },
    { what: 'an unknown name', parameters: { other: 'x' } },
    { what: 'a version that is none', parameters: { version: '../x' } },
  ];
  for (const { what, parameters } of badParameters) {
    it(`refuses a load with ${what}`, async () => {
      const { code } = await rejection(() => subject.loadWith('m', parameters));
      assert.equal(code, Code.INVALID_ARGUMENT);
    });
  }

  it('takes a configuration with a load of the registry: all versions, or a smaller batch', async () => {
    subject.registry.add('add', addModel(2));
    const all = toJson(
      ModelConfigSchema,
      fromJson(ModelConfigSchema, { version_policy: { all: {} }, max_batch_size: 2 }),
    );
    await subject.loadWith('add', { config: JSON.stringify(all) });
    assert.deepEqual(await inferVersion('1', 'add'), [2, 3]);
    assert.deepEqual(await inferVersion('2', 'add'), [3, 4]);
    const { message } = await rejection(() => subject.infer(rawRequest([1, 2, 3, 4, 5, 6])));
    assert.match(message, /batch-size must be >= 1 and <= 2/);
  });

  it('does not go outside of its folders, whatever the name', async () => {
    for (const name of ['../m', '.', '..', 'a/b', 'a\0b', 'x'.repeat(300), '']) {
      const { code, message } = await rejection(() => subject.loadWith(name));
      assert.equal(code, Code.NOT_FOUND, name);
      assert.match(message, /failed to poll from model repository/);
    }
  });
});
