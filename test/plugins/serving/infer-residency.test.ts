import assert from 'node:assert/strict';
import { create } from '@bufbuild/protobuf';
import { Code } from 'lamella/sdk';
import { type ModelConfig, ModelConfigSchema } from 'lamella/proto/inference/model_config';
import type { InferConfig } from '../../../plugins/serving/infer/config.ts';
import { RateLimited, RateLimiter } from '../../../plugins/serving/infer/rate-limiter.ts';
import { cacheKey, cacheTtlMs, ResponseCache } from '../../../plugins/serving/infer/response-cache.ts';
import { addModel } from './infer-fixture.ts';
import { FakeTime } from '../../support/fake-time.ts';
import { InferSubject, rawRequest, rejection } from './infer-subject.ts';

function floats(...values: number[]): { y: { type: 'float32'; dims: number[]; data: Float32Array } } {
  return { y: { type: 'float32', dims: [values.length], data: Float32Array.from(values) } };
}

describe('what serving.infer keeps in memory', function () {
  this.timeout(60_000);
  let subject: InferSubject;
  const started: InferSubject[] = [];
  const start = (config: Partial<InferConfig>, before?: InferSubject): InferSubject => {
    subject = new InferSubject(before, config);
    started.push(subject);
    for (const model of before === undefined ? ['a', 'b', 'c'] : []) subject.registry.add(model, addModel(2));
    return subject;
  };
  afterEach(async () => {
    for (const { repository } of started.splice(0)) await repository.close();
  });
  const ask = (modelName: string): Promise<number[]> => subject.infer(rawRequest([1, 2], { modelName }));
  const loaded = (): string[] => subject.repository.loaded().map(({ shape }) => shape.name);

  it('are models that were used last, and others come back when they are asked for', async () => {
    start({ maxLoadedModels: 2, loadOnDemand: true });
    assert.deepEqual(await ask('a'), [3, 4]);
    await ask('b');
    await ask('a');
    await ask('c');
    assert.deepEqual(loaded(), ['a', 'c']);
    const gone = subject.repository.states().find(({ name }) => name === 'b');
    assert.equal(gone?.state, 'UNAVAILABLE');
    // What was loaded stays so over a restart, and what had gone does not come back by itself.
    const next = start({ maxLoadedModels: 2, loadOnDemand: true }, subject);
    await next.repository.restore();
    assert.deepEqual(
      loaded().toSorted((left, right) => (left < right ? -1 : 1)),
      ['a', 'c'],
    );
    assert.deepEqual(await ask('b'), [3, 4]);
  });

  it('come back as they were: in their version', async () => {
    start({ maxLoadedModels: 1, loadOnDemand: true });
    await subject.load('1');
    subject.registry.add('add', addModel(50));
    await ask('a');
    assert.deepEqual(await ask('add'), [2, 3]);
  });

  it('are loaded once for all who ask at the same time, and not at all when there is no such model', async () => {
    start({ loadOnDemand: true });
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask('a')));
    assert.ok(answers.every(([first]) => first === 3));
    const { code, message } = await rejection(() => ask('nothing'));
    assert.equal(code, Code.NOT_FOUND);
    assert.match(message, /^Request for unknown model: 'nothing'/);
    const many = await Promise.all(
      Array.from({ length: 100 }, (_, index) => rejection(() => ask(`none-${index}`))),
    );
    assert.ok(many.some((refused) => refused.code === Code.UNAVAILABLE));
  });

  it('are models within a number of bytes (skipped where there is no /proc to read them from)', async function () {
    if (process.platform !== 'linux') this.skip();
    start({ modelMemoryMib: 1, loadOnDemand: true });
    await ask('a');
    await ask('b');
    // Each alone is more than that, and the one that is asked for is there still.
    assert.deepEqual(loaded(), ['b']);
    const [statistics] = await Promise.all(subject.repository.loaded().map((model) => model.memory()));
    assert.ok((statistics?.sizeBytes ?? 0) > 1_048_576);
  });

  it('are answers of models that want it, which count as no inference', async () => {
    start({});
    await subject.loadWith('a', { config: '{"response_cache": {"enable": true}}' });
    for (let turn = 0; turn < 3; turn += 1) assert.deepEqual(await ask('a'), [3, 4]);
    assert.deepEqual(await subject.infer(rawRequest([5, 6], { modelName: 'a' })), [7, 8]);
    const { statistics, shape } = subject.repository.get('a');
    const { inferenceCount, executionCount, inferenceStats } = statistics.snapshot(shape);
    assert.deepEqual([inferenceCount, executionCount], [2n, 2n]);
    assert.equal(inferenceStats?.success?.count, 4n);
    assert.equal(inferenceStats?.cacheHit?.count, 2n);
    assert.equal(inferenceStats?.cacheMiss?.count, 2n);
    assert.equal(inferenceStats?.queue?.count, 2n);
    // Another version has answers of its own.
    subject.registry.add('a', addModel(10));
    await subject.loadWith('a', { config: '{"response_cache": {"enable": true}}' });
    assert.notDeepEqual(await ask('a'), [3, 4]);
  });
});

describe('the response cache of serving.infer', () => {
  it('keeps what was used last within its bytes, and nothing of a model that is gone', () => {
    const cache = new ResponseCache(3 * (512 + 8));
    const [one, other] = [{}, {}];
    for (const key of ['a', 'b', 'c']) cache.put(key, floats(1, 2), { owner: one });
    assert.ok(cache.get('a') !== undefined);
    cache.put('d', floats(3, 4), { owner: other });
    assert.deepEqual(
      ['a', 'b', 'c', 'd'].map((key) => cache.get(key) !== undefined),
      [true, false, true, true],
    );
    cache.put('huge', floats(...Array.from({ length: 10_000 }, () => 1)), { owner: one });
    assert.equal(cache.get('huge'), undefined);
    cache.forget(one);
    assert.equal(cache.get('a'), undefined);
    assert.deepEqual(cache.get('d'), floats(3, 4));
    assert.equal(cache.sizeBytes, 512 + 8);
  });

  it('gives an answer for as long as it may be kept, and then lets its bytes go', () => {
    const time = new FakeTime(1);
    time.install();
    try {
      const cache = new ResponseCache(10_000);
      cache.put('a', floats(1, 2), { owner: {}, ttlMs: 1_000 });
      time.nowMs += 999;
      assert.ok(cache.get('a') !== undefined);
      // A hit does not make it younger.
      time.nowMs += 1;
      assert.equal(cache.get('a'), undefined);
      assert.equal(cache.sizeBytes, 0);
      cache.put('a', floats(3, 4), { owner: {}, ttlMs: 1_000 });
      assert.deepEqual(cache.get('a'), floats(3, 4));
    } finally {
      time.uninstall();
    }
  });

  it('keeps answers as long as the model says, or else the option', () => {
    const config = (stringValue?: string): ModelConfig =>
      create(ModelConfigSchema, {
        name: 'm',
        parameters: stringValue === undefined ? {} : { response_cache_ttl_seconds: { stringValue } },
      });
    assert.equal(cacheTtlMs(config(), 0), Infinity);
    assert.equal(cacheTtlMs(config(), 2), 2_000);
    assert.equal(cacheTtlMs(config('0.5'), 2), 500);
    assert.equal(cacheTtlMs(config('0'), 2), Infinity);
    for (const wrong of ['-1', 'soon', 'NaN']) {
      assert.throws(() => cacheTtlMs(config(wrong), 2), /response_cache_ttl_seconds/);
    }
  });

  it('copies what it keeps', () => {
    const cache = new ResponseCache(10_000);
    const outputs = floats(1, 2);
    cache.put('a', outputs, { owner: {} });
    outputs.y.data[0] = 9;
    assert.deepEqual(cache.get('a'), floats(1, 2));
  });

  it('tells requests apart by names, types, shapes, values and wanted outputs', () => {
    const text = (...data: string[]): Parameters<typeof cacheKey>[1] => ({
      x: { type: 'string', dims: [data.length], data },
    });
    const keys = [
      cacheKey('m', text('ab', 'c'), []),
      cacheKey('m', text('a', 'bc'), []),
      cacheKey('n', text('a', 'bc'), []),
      cacheKey('m', { x: { type: 'string', dims: [2, 1], data: ['a', 'bc'] } }, []),
      cacheKey('m', text('a', 'bc'), [{ name: 'y' }]),
      cacheKey('m', text('a', 'bc'), [{ name: 'y', classes: 2 }]),
      cacheKey('m', floats(1, 2), []),
      cacheKey('m', { z: floats(1, 2).y }, []),
    ];
    assert.equal(new Set(keys).size, keys.length);
    assert.equal(cacheKey('m', floats(1, 2), []), cacheKey('m', floats(1, 2), []));
  });
});

describe('the rate limiter of serving.infer', () => {
  it('runs no more at once than the resource allows, and gives turns by weight', async () => {
    const limiter = new RateLimiter();
    const model = (weight: number, count: number): RateLimited =>
      new RateLimited({ resources: new Map([['gpu', count]]), weight });
    const [first, second] = [model(1, 2), model(2, 2)];
    limiter.enter(first);
    limiter.enter(second);
    const order: string[] = [];
    let running = 0;
    const work = async (name: string): Promise<void> => {
      running += 1;
      assert.equal(running, 1);
      await new Promise((resolve) => setImmediate(resolve));
      order.push(name);
      running -= 1;
    };
    const runs = ['first', 'second'].flatMap((name) =>
      Array.from({ length: 6 }, () => limiter.run(name === 'first' ? first : second, () => work(name))),
    );
    await Promise.all(runs);
    const early = order.slice(0, 6);
    assert.equal(early.filter((name) => name === 'first').length, 4);
    // A failed run gives back what it held.
    await assert.rejects(limiter.run(first, () => Promise.reject(new Error('no'))));
    await limiter.run(second, () => work('second'));
  });
});
