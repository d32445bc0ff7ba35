import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type DeclaredError, isDeclaredError } from '../../../sdk/index.ts';
import { openSession, type OrtSession, type OrtTensor } from '../../../sdk/ort/index.ts';
import { addOneModel, slowModel } from './models.ts';

/** Asserts that a promise is rejected with a declared error of the reason. */
async function rejectsWith(promise: Promise<unknown>, reason: string): Promise<DeclaredError> {
  const error = await promise.then(
    () => assert.fail(`expected ${reason}`),
    (thrown: unknown) => thrown,
  );
  assert.ok(isDeclaredError(error), String(error));
  assert.equal(error.reason, reason);
  return error;
}

/** A float tensor of two columns. */
function rows(...values: number[]): OrtTensor {
  return { type: 'float32', dims: [values.length / 2, 2], data: new Float32Array(values) };
}

/** A square matrix big enough to keep a child busy for seconds. */
function bigMatrix(): OrtTensor {
  return { type: 'float32', dims: [700, 700], data: new Float32Array(490_000).fill(0.001) };
}

function processLives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('openSession', function () {
  this.timeout(60_000);
  const sessions: OrtSession[] = [];
  const open = async (...args: Parameters<typeof openSession>): Promise<OrtSession> => {
    const session = await openSession(...args);
    sessions.push(session);
    return session;
  };
  afterEach(async () => {
    await Promise.all(sessions.splice(0).map((session) => session.close()));
  });

  it('tells the inputs and outputs of the model and runs it', async () => {
    const session = await open({ model: addOneModel() });
    assert.deepEqual(session.inputs, [{ name: 'x', type: 'float32', dims: [-1, 2] }]);
    assert.deepEqual(session.outputs, [{ name: 'y', type: 'float32', dims: [-1, 2] }]);
    const { y } = await session.run({ x: rows(1, 2, 3, 4) });
    assert.deepEqual(y, rows(2, 3, 4, 5));
  });

  it('answers each of many queued runs with its own rows', async () => {
    const session = await open({ model: addOneModel(), instances: 2 });
    assert.equal(session.pids.length, 2);
    const results = await Promise.all(
      Array.from({ length: 200 }, (_, index) => session.run({ x: rows(index, 0) })),
    );
    assert.deepEqual(
      results.map(({ y }) => y?.data[0]),
      Array.from({ length: 200 }, (_, index) => index + 1),
    );
  });

  it('carries a tensor of megabytes there and back', async () => {
    const session = await open({ model: addOneModel() });
    const values = Float32Array.from({ length: 1_000_000 }, (_, index) => index % 1000);
    const { y } = await session.run({ x: { type: 'float32', dims: [500_000, 2], data: values } });
    assert.equal(y?.data.length, 1_000_000);
    assert.equal(y.data[999_999], 1000);
  });

  it('refuses a tensor whose values do not fill its shape', async () => {
    const session = await open({ model: addOneModel() });
    const error = await rejectsWith(
      session.run({ x: { type: 'float32', dims: [2, 2], data: new Float32Array(3) } }),
      'ORT_TENSOR_INVALID',
    );
    assert.match(error.message, /'x'.*\[2,2\].*3 values/);
  });

  it('goes on after a run that ONNX Runtime refused', async () => {
    const session = await open({ model: addOneModel() });
    await rejectsWith(session.run({ z: rows(1, 2) }), 'ORT_RUN_FAILED');
    await rejectsWith(
      session.run({ x: { type: 'int32', dims: [1, 2], data: new Int32Array(2) } }),
      'ORT_RUN_FAILED',
    );
    const { y } = await session.run({ x: rows(1, 2) });
    assert.deepEqual(y, rows(2, 3));
  });

  it('refuses what is no model, a newer format and a newer opset', async () => {
    await rejectsWith(openSession({ model: new Uint8Array([1, 2, 3]) }), 'ORT_MODEL_REJECTED');
    const newer = addOneModel((model) => ({ ...model, irVersion: 99 }));
    assert.match(
      (await rejectsWith(openSession({ model: newer }), 'ORT_MODEL_REJECTED')).message,
      /IR version/i,
    );
    const opset = addOneModel((model) => ({ ...model, opsetImports: [{ domain: '', version: 99 }] }));
    assert.match((await rejectsWith(openSession({ model: opset }), 'ORT_MODEL_REJECTED')).message, /opset/i);
  });

  it('fails only the run that was under way when its child is killed, and starts another child', async () => {
    const session = await open({ model: slowModel() });
    const [pid] = session.pids;
    const lost = session.run({ x: bigMatrix() });
    const next = session.run({ x: { type: 'float32', dims: [1, 1], data: new Float32Array([1]) } });
    process.kill(pid ?? 0, 'SIGKILL');
    const error = await rejectsWith(lost, 'ORT_CHILD_EXITED');
    assert.match(error.message, /SIGKILL/);
    assert.equal((await next)['y']?.data[0], 1);
    assert.notEqual(session.pids[0], pid);
  });

  it('stops a run that is cancelled or takes too long and serves the next one', async () => {
    const session = await open({ model: slowModel() });
    const abort = new AbortController();
    const cancelled = session.run({ x: bigMatrix() }, { signal: abort.signal });
    abort.abort();
    await rejectsWith(cancelled, 'ORT_CANCELLED');
    await rejectsWith(session.run({ x: bigMatrix() }, { timeoutMs: 20 }), 'ORT_TIMED_OUT');
    const { y } = await session.run({ x: { type: 'float32', dims: [1, 1], data: new Float32Array([1]) } });
    assert.equal(y?.data[0], 1);
  });

  it('drops a cancelled run that waits without disturbing the one under way', async () => {
    const session = await open({ model: addOneModel() });
    const pids = session.pids;
    const abort = new AbortController();
    const first = session.run({ x: rows(1, 1) });
    const waiting = session.run({ x: rows(2, 2) }, { signal: abort.signal });
    abort.abort();
    await rejectsWith(waiting, 'ORT_CANCELLED');
    assert.deepEqual((await first)['y'], rows(2, 2));
    assert.deepEqual(session.pids, pids);
  });

  it('refuses runs beyond the queue limit', async () => {
    const session = await open({ model: addOneModel(), queueLimit: 1 });
    const runs = [session.run({ x: rows(1, 1) }), session.run({ x: rows(1, 1) })];
    await rejectsWith(session.run({ x: rows(1, 1) }), 'ORT_QUEUE_FULL');
    await Promise.all(runs);
  });

  it('replaces a child whose memory is above the limit between two runs', async () => {
    const session = await open({ model: addOneModel(), memoryLimitMib: 1 });
    const [pid] = session.pids;
    await session.run({ x: rows(1, 1) });
    const { y } = await session.run({ x: rows(1, 1) });
    assert.deepEqual(y, rows(2, 2));
    assert.notEqual(session.pids[0], pid);
  });

  it('lets the run under way end when it is closed, refuses the rest and leaves no process behind', async () => {
    const session = await openSession({ model: addOneModel() });
    const [pid] = session.pids;
    const underWay = session.run({ x: rows(1, 1) });
    const waiting = session.run({ x: rows(1, 1) });
    const closing = session.close();
    await rejectsWith(waiting, 'ORT_SESSION_CLOSED');
    assert.deepEqual((await underWay)['y'], rows(2, 2));
    await closing;
    await rejectsWith(session.run({ x: rows(1, 1) }), 'ORT_SESSION_CLOSED');
    assert.equal(processLives(pid ?? 0), false);
  });

  it('ends the child when its parent is killed', async () => {
    const entry = fileURLToPath(new URL('./session-holder.js', import.meta.url));
    const parent = spawn(process.execPath, [entry], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    const pid = Number(line.toString());
    assert.equal(processLives(pid), true);
    parent.kill('SIGKILL');
    while (processLives(pid)) await delay(20);
  });

  it('gives up the start when it is cancelled', async () => {
    const abort = new AbortController();
    const opening = openSession({ model: addOneModel() }, { signal: abort.signal });
    abort.abort();
    await rejectsWith(opening, 'ORT_CANCELLED');
  });
});
