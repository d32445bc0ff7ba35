import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { Code } from 'lamella/sdk';
import {
  type InferParameter,
  ModelInferRequestSchema,
  SystemSharedMemoryRegisterRequestSchema,
  SystemSharedMemoryStatusRequestSchema,
  SystemSharedMemoryUnregisterRequestSchema,
} from 'lamella/proto/inference/grpc_inference_service';
import { callContext } from './infer-fixture.ts';
import { InferSubject, rawRequest, rejection } from './infer-subject.ts';

type Region = MessageInitShape<typeof SystemSharedMemoryRegisterRequestSchema>;

describe('system shared memory of serving.infer (skipped where there is no /dev/shm)', function () {
  this.timeout(60_000);
  let subject: InferSubject;
  let key: string;
  const file = (): string => path.join('/dev/shm', key);

  before(function () {
    if (process.platform !== 'linux') this.skip();
  });
  beforeEach(async () => {
    key = `lamella-test-${randomUUID()}`;
    await writeFile(file(), new Uint8Array(64));
    subject = new InferSubject(undefined, { allowSharedMemory: true });
    await subject.load();
  });
  afterEach(async () => {
    await unregister('');
    await subject.repository.close();
    await rm(file(), { force: true });
  });

  const register = async (region: Region): Promise<unknown> =>
    subject.service.systemSharedMemoryRegister(
      create(SystemSharedMemoryRegisterRequestSchema, region),
      callContext(),
    );
  const unregister = async (name: string): Promise<unknown> =>
    subject.service.systemSharedMemoryUnregister(
      create(SystemSharedMemoryUnregisterRequestSchema, { name }),
      callContext(),
    );
  const place = (
    region: string,
    offset: bigint,
    size: bigint,
  ): Record<string, Pick<InferParameter, 'parameterChoice'>> => ({
    shared_memory_region: { parameterChoice: { case: 'stringParam', value: region } },
    shared_memory_offset: { parameterChoice: { case: 'int64Param', value: offset } },
    shared_memory_byte_size: { parameterChoice: { case: 'int64Param', value: size } },
  });
  const ask = async (
    input: [string, bigint, bigint],
    output: [string, bigint, bigint],
  ): Promise<readonly Uint8Array[]> => {
    const inputs = [{ name: 'x', datatype: 'UINT8', shape: [2n, 2n], parameters: place(...input) }];
    const outputs = [{ name: 'sum', parameters: place(...output) }, { name: 'copy' }];
    const request = create(ModelInferRequestSchema, { modelName: 'add', inputs, outputs });
    const { rawOutputContents = [] } = await subject.service.modelInfer(request, callContext());
    return rawOutputContents;
  };

  it('carries inputs and outputs at their places, and leaves everything else as it is', async () => {
    await writeFile(
      file(),
      Uint8Array.from({ length: 64 }, (_, index) => index),
    );
    await register({ name: 'in', key: `/${key}`, offset: 8n, byteSize: 8n });
    await register({ name: 'out', key, offset: 32n, byteSize: 32n });
    const raw = await ask(['in', 2n, 4n], ['out', 4n, 16n]);
    assert.deepEqual(
      raw.map((bytes) => bytes.byteLength),
      [0, 4],
    );
    const bytes = await readFile(file());
    const sums = new Float32Array(new Uint8Array(bytes.subarray(36, 52)).buffer);
    assert.deepEqual([...sums], [11, 12, 13, 14]);
    assert.deepEqual(
      [...bytes.subarray(0, 36)],
      Array.from({ length: 36 }, (_, index) => index),
    );
    assert.equal(bytes[52], 52);
    const { regions = {} } = await subject.service.systemSharedMemoryStatus(
      create(SystemSharedMemoryStatusRequestSchema),
      callContext(),
    );
    assert.deepEqual(Object.keys(regions), ['in', 'out']);
  });

  it('refuses what lies outside, and survives an object that gets smaller', async () => {
    await register({ name: 'r', key, offset: 0n, byteSize: 64n });
    const wrong: readonly [[string, bigint, bigint], [string, bigint, bigint], RegExp][] = [
      [['r', 62n, 4n], ['r', 0n, 16n], /beyond the end/],
      [['r', 0n, 4n], ['r', 60n, 16n], /beyond the end/],
      [['r', 0n, 4n], ['r', 8n, 15n], /should be at least 16 bytes/],
      [['r', 0n, 5n], ['r', 8n, 16n], /unexpected total size 5/],
      [['none', 0n, 4n], ['r', 8n, 16n], /Unable to find shared memory region: 'none'/],
    ];
    for (const [input, output, text] of wrong) {
      const { code, message } = await rejection(() => ask(input, output));
      assert.equal(code, Code.INVALID_ARGUMENT);
      assert.match(message, text);
    }
    await truncate(file(), 8);
    assert.match((await rejection(() => ask(['r', 32n, 4n], ['r', 0n, 16n]))).message, /has become smaller/);
    assert.match((await rejection(() => ask(['r', 0n, 4n], ['r', 32n, 16n]))).message, /has become smaller/);
    assert.deepEqual(await subject.infer(rawRequest([1, 2])), [2, 3]);
  });

  it('refuses regions that cannot be', async () => {
    await register({ name: 'r', key, byteSize: 8n });
    const wrong: readonly Region[] = [
      { name: 'r', key, byteSize: 8n },
      { name: '', key, byteSize: 8n },
      { name: 'a', key: '../../etc/passwd', byteSize: 8n },
      { name: 'a', key: '/../shm', byteSize: 8n },
      { name: 'a', key: `${key}-none`, byteSize: 8n },
      { name: 'a', key, byteSize: 65n },
      { name: 'a', key, offset: 2n ** 63n, byteSize: 2n ** 63n },
      { name: 'a', key, byteSize: 0n },
    ];
    for (const region of wrong) {
      assert.equal((await rejection(() => register(region))).code, Code.INVALID_ARGUMENT, String(region.key));
    }
    await unregister('r');
    assert.match((await rejection(() => unregister('r'))).message, /Unable to find/);
  });

  it('can be used over REST, too', async () => {
    const regions = '/v2/systemsharedmemory';
    const post = (route: string, body: object = {}): Promise<Response> =>
      subject.http(route, { method: 'POST', body: JSON.stringify(body) });
    await writeFile(file(), Uint8Array.of(1, 2, 3, 4, ...new Uint8Array(60)));
    const region = { key, offset: 0, byte_size: 64 };
    assert.equal((await post(`${regions}/region/r%20r/register`, region)).status, 200);
    const listed: unknown = await (await subject.http(`${regions}/status`)).json();
    assert.deepEqual(listed, [{ name: 'r r', ...region }]);
    const at = (offset: number, size: number): object => ({
      shared_memory_region: 'r r',
      shared_memory_offset: offset,
      shared_memory_byte_size: size,
    });
    const request = (offset: number): object => ({
      inputs: [{ name: 'x', datatype: 'UINT8', shape: [2, 2], parameters: at(0, 4) }],
      outputs: [{ name: 'sum', parameters: at(offset, 16) }, { name: 'copy' }],
    });
    const answer = (await (await post('/v2/models/add/infer', request(8))).json()) as { outputs: unknown };
    assert.deepEqual(answer.outputs, [
      { name: 'sum', datatype: 'FP32', shape: [2, 2], parameters: at(8, 16) },
      { name: 'copy', datatype: 'UINT8', shape: [2, 2], data: [1, 2, 3, 4] },
    ]);
    const sums = new Float32Array(new Uint8Array((await readFile(file())).subarray(8, 24)).buffer);
    assert.deepEqual([...sums], [2, 3, 4, 5]);
    const beyond = await post('/v2/models/add/infer', request(56));
    assert.deepEqual([beyond.status, /beyond the end/.test(await beyond.text())], [400, true]);
    assert.equal((await post(`${regions}/region/x/register`, { key: 1 })).status, 400);
    assert.equal((await post(`${regions}/region/r%20r/unregister`)).status, 200);
    assert.equal((await subject.http(`${regions}/region/r%20r/status`)).status, 400);
  });

  it('has none of CUDA, which clients may forget all the same', async () => {
    const post = async (route: string): Promise<number> =>
      (await subject.http(`/v2/cudasharedmemory/${route}`, { method: 'POST' })).status;
    assert.deepEqual(
      [await post('unregister'), await post('region/r/unregister'), await post('region/r/register')],
      [200, 400, 501],
    );
    assert.deepEqual(await (await subject.http('/v2/cudasharedmemory/status')).json(), []);
  });
});
