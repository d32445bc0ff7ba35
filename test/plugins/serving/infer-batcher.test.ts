import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { DeclaredError, isDeclaredError } from 'lamella/sdk';
import type { OrtTensor, OrtTensors } from 'lamella/sdk/ort';
import type { BatchRequest } from '../../../plugins/serving/infer/batch-entry.ts';
import { batchKey } from '../../../plugins/serving/infer/batch.ts';
import { Batcher, type BatcherOptions } from '../../../plugins/serving/infer/batcher.ts';
import { signalCancellation } from '../../../plugins/serving/infer/cancellation.ts';
import { RequestCancelled } from '../../../plugins/serving/infer/errors.ts';
import { plainQueue, type QueuePolicy } from '../../../plugins/serving/infer/queue-policy.ts';

/** Tensors of one input with a value for each row. */
function rows(...values: number[]): OrtTensors {
  return { x: { type: 'float32', dims: [values.length, 1], data: Float32Array.from(values) } };
}

/** Numbers of a float tensor. */
function valuesOf(tensor: OrtTensor | undefined): number[] {
  assert.ok(tensor?.data instanceof Float32Array);
  return [...tensor.data];
}

/** A request for those rows. */
function request(tensors: OrtTensors, signal?: AbortSignal): BatchRequest {
  return {
    tensors,
    rows: tensors['x']?.dims[0] ?? 0,
    key: batchKey(tensors),
    cancellation: signal === undefined ? undefined : signalCancellation(signal),
    cancelError: () => new RequestCancelled({}),
  };
}

/** A model whose runs the test ends one by one. */
class HeldModel {
  readonly batches: number[][] = [];
  readonly #releases: (() => void)[] = [];

  readonly run = async (tensors: OrtTensors): Promise<OrtTensors> => {
    const values = valuesOf(tensors['x']);
    this.batches.push(values);
    await new Promise<void>((resolve) => this.#releases.push(resolve));
    if (values.includes(-1)) throw new DeclaredError({ reason: 'POISON', code: 3, message: 'poisoned' });
    return { y: { type: 'float32', dims: [...(tensors['x']?.dims ?? [])], data: Float32Array.from(values) } };
  };

  /** Waits until a run is under way, then ends it. */
  async release(): Promise<void> {
    while (this.#releases.length === 0) await new Promise((resolve) => setImmediate(resolve));
    this.#releases.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function reason(error: unknown): string {
  return isDeclaredError(error) ? error.reason : String(error);
}

describe('the batcher of serving.infer', () => {
  let model: HeldModel;
  const batcher = (options: Partial<BatcherOptions> = {}): Batcher =>
    new Batcher({
      model: 'm',
      slots: 1,
      policies: plainQueue(100),
      batchable: true,
      maxBatchRows: 4,
      run: model.run,
      onRun: () => undefined,
      ...options,
    });
  const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  beforeEach(() => {
    model = new HeldModel();
  });

  it('joins what arrived in one turn, then what arrived during the run, never above the limit of rows', async () => {
    const subject = batcher();
    const first = [1, 2].map((value) => subject.submit(request(rows(value))));
    await nextTurn();
    const later = [3, 4, 5, 6, 7].map((value) => subject.submit(request(rows(value))));
    for (let run = 0; run < 3; run += 1) await model.release();
    const answers = await Promise.all([...first, ...later]);
    assert.deepEqual(model.batches, [[1, 2], [3, 4, 5, 6], [7]]);
    assert.deepEqual(
      answers.map(({ outputs }) => valuesOf(outputs['y'])),
      [[1], [2], [3], [4], [5], [6], [7]],
    );
  });

  it('joins no more than the cost of a run allows, and lets what is cheap go before what does not fit', async () => {
    const subject = batcher({ maxBatchCost: 10 });
    const costs = [6, 5, 4, 7, 3];
    const all = costs.map((cost) => subject.submit({ ...request(rows(cost)), cost }));
    for (let run = 0; run < 3; run += 1) await model.release();
    await Promise.all(all);
    assert.deepEqual(model.batches, [[6, 4], [5, 3], [7]]);
  });

  it('does not mix shapes, and does not let one shape hold up another', async () => {
    const subject = batcher();
    const wide: OrtTensors = { x: { type: 'float32', dims: [1, 2], data: Float32Array.of(8, 9) } };
    const all = [request(rows(1)), request(wide), request(rows(2))].map((one) => subject.submit(one));
    await model.release();
    await model.release();
    await Promise.all(all);
    assert.deepEqual(model.batches, [
      [1, 2],
      [8, 9],
    ]);
  });

  it('halves a failed batch until the bad request is alone, so that only that one fails', async () => {
    const subject = batcher({ maxBatchRows: 8 });
    const all = [1, 2, 3, 4, 5, -1, 7, 8].map((value) => subject.submit(request(rows(value))));
    const settled = Promise.allSettled(all);
    for (let run = 0; run < 7; run += 1) await model.release();
    const results = await settled;
    assert.deepEqual(
      results.map((result) => (result.status === 'fulfilled' ? 'answered' : reason(result.reason))),
      all.map((_, index) => (index === 5 ? 'POISON' : 'answered')),
    );
    assert.deepEqual(model.batches, [
      [1, 2, 3, 4, 5, -1, 7, 8],
      [1, 2, 3, 4],
      [5, -1, 7, 8],
      [5, -1],
      [5],
      [-1],
      [7, 8],
    ]);
  });

  it('runs a request once more when its process ended under it, and then no more', async () => {
    let runs = 0;
    const dying = async (tensors: OrtTensors): Promise<OrtTensors> => {
      runs += 1;
      if (runs !== 2) throw new DeclaredError({ reason: 'ORT_CHILD_EXITED', code: 14, message: 'killed' });
      return tensors;
    };
    const subject = batcher({ run: dying });
    assert.deepEqual(valuesOf((await subject.submit(request(rows(5)))).outputs['x']), [5]);
    runs = 10;
    assert.equal(await subject.submit(request(rows(5))).catch(reason), 'ORT_CHILD_EXITED');
    assert.equal(runs, 12);
  });

  it('does not run the requests of a batch again that took too long', async () => {
    let runs = 0;
    const slow = async (): Promise<OrtTensors> => {
      runs += 1;
      throw new DeclaredError({ reason: 'ORT_TIMED_OUT', code: 4, message: 'too long' });
    };
    const subject = batcher({ run: slow });
    const reasons = await Promise.all(
      [1, 2].map((value) => subject.submit(request(rows(value))).catch(reason)),
    );
    assert.deepEqual(reasons, ['ORT_TIMED_OUT', 'ORT_TIMED_OUT']);
    assert.equal(runs, 1);
  });

  it('drops a cancelled request at once and does not run it', async () => {
    const subject = batcher({ maxBatchRows: 1 });
    const abort = new AbortController();
    const first = subject.submit(request(rows(1)));
    const second = subject.submit(request(rows(2), abort.signal));
    await nextTurn();
    abort.abort();
    assert.equal(await second.catch(reason), 'REQUEST_CANCELLED');
    assert.equal(subject.waiting, 0);
    await model.release();
    await first;
    assert.deepEqual(model.batches, [[1]]);
  });

  it('drops a request whose time in the queue is over', async () => {
    const subject = batcher({ maxBatchRows: 1 });
    const first = subject.submit(request(rows(1)));
    const second = subject.submit({ ...request(rows(2)), timeoutMs: 1 });
    assert.equal(await second.catch(reason), 'REQUEST_EXPIRED');
    await model.release();
    await first;
  });

  it('refuses requests beyond the queue limit', async () => {
    const subject = batcher({ policies: plainQueue(2), maxBatchRows: 1 });
    const all = [1, 2].map((value) => subject.submit(request(rows(value))));
    assert.equal(await subject.submit(request(rows(3))).catch(reason), 'QUEUE_FULL');
    await model.release();
    await model.release();
    await Promise.all(all);
  });

  it('stops joining when the first dimension of an answer is not the batch', async () => {
    const odd = async (tensors: OrtTensors): Promise<OrtTensors> => {
      model.batches.push(valuesOf(tensors['x']));
      return { y: { type: 'float32', dims: [1], data: Float32Array.of(model.batches.length) } };
    };
    const subject = batcher({ run: odd });
    await Promise.all([1, 2].map((value) => subject.submit(request(rows(value)))));
    await Promise.all([3, 4].map((value) => subject.submit(request(rows(value)))));
    assert.deepEqual(model.batches, [[1, 2], [1], [2], [3], [4]]);
  });

  const policy: QueuePolicy = { timeoutMs: 0, isDelayed: false, mayOverride: true, limit: 10 };

  it('runs higher priorities first, and bounds each priority for itself', async () => {
    const levels = [policy, { ...policy, limit: 2 }];
    const policies = { ...plainQueue(1), levels, defaultLevel: 1 };
    const subject = batcher({ policies, maxBatchRows: 1 });
    const ask = (value: number, priority: number): Promise<unknown> =>
      subject.submit({ ...request(rows(value)), priority }).catch(reason);
    const first = ask(1, 0);
    await nextTurn();
    const all = [first, ask(2, 2), ask(3, 1), ask(4, 7), ask(5, 1)];
    assert.equal(await ask(6, 2), 'QUEUE_FULL');
    for (let run = 0; run < 5; run += 1) await model.release();
    await Promise.all(all);
    assert.deepEqual(model.batches, [[1], [3], [5], [2], [4]]);
  });

  it('puts a request that waited too long behind the others where that is configured', async () => {
    const policies = {
      ...plainQueue(9),
      levels: [{ ...policy, timeoutMs: 1, isDelayed: true, mayOverride: false }],
    };
    const subject = batcher({ policies, maxBatchRows: 1 });
    const first = subject.submit(request(rows(1)));
    await nextTurn();
    // Its own, longer limit does not count.
    const late = subject.submit({ ...request(rows(2)), timeoutMs: 60_000 });
    await delay(20);
    const fresh = subject.submit(request(rows(3)));
    for (let run = 0; run < 3; run += 1) await model.release();
    await Promise.all([first, late, fresh]);
    assert.deepEqual(model.batches, [[1], [3], [2]]);
  });

  it('does not run a request that cannot make its deadline any more', async () => {
    const subject = batcher({ maxBatchRows: 1 });
    const first = subject.submit(request(rows(1)));
    await delay(20);
    await model.release();
    await first;
    // The run took 20 ms, so 5 are not enough.
    const late = subject.submit({ ...request(rows(2)), deadlineMs: Date.now() + 5 });
    assert.equal(await late.catch(reason), 'DEADLINE_PASSED');
    assert.deepEqual(model.batches, [[1]]);
    await subject.drained();
  });

  it('refuses a request that was cancelled before it came', async () => {
    const subject = batcher();
    assert.equal(
      await subject.submit(request(rows(1), AbortSignal.abort())).catch(reason),
      'REQUEST_CANCELLED',
    );
    assert.equal(subject.waiting, 0);
    await subject.drained();
  });

  it('waits for a preferred size where a delay is configured, and no longer than that', async () => {
    const policies = { ...plainQueue(9), maxDelayMs: 60_000, preferredRows: [2] };
    const subject = batcher({ policies });
    const first = subject.submit(request(rows(1)));
    await nextTurn();
    await nextTurn();
    assert.deepEqual(model.batches, []);
    const second = subject.submit(request(rows(2)));
    await model.release();
    await Promise.all([first, second]);
    assert.deepEqual(model.batches, [[1, 2]]);
    const impatient = batcher({ policies: { ...policies, maxDelayMs: 1 } });
    const alone = impatient.submit(request(rows(3)));
    await model.release();
    await alone;
    assert.deepEqual(model.batches, [[1, 2], [3]]);
  });

  it('is drained once what waits has run', async () => {
    const subject = batcher({ maxBatchRows: 1 });
    const all = [1, 2].map((value) => subject.submit(request(rows(value))));
    let drained = false;
    const done = subject.drained().then(() => {
      drained = true;
    });
    await model.release();
    assert.equal(drained, false);
    await model.release();
    await done;
    await Promise.all(all);
  });
});
