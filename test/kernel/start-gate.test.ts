import assert from 'node:assert/strict';
import { Call } from '../../kernel/call.ts';
import { Dispatcher } from '../../kernel/dispatcher.ts';
import { Router } from '../../kernel/router.ts';
import { Code, type DeclaredError } from '../../sdk/index.ts';

const ECHO = '/echo.v1.EchoService/Say';

function newCall(): Call {
  return new Call({ readHeaders: () => new Map(), readPeer: () => 'test' });
}

function reasonOf(error: unknown): string {
  return (error as DeclaredError).reason;
}

describe('calls while the kernel reads what it has to load', () => {
  it('wait, and are refused only once it is known that nobody provides the service', async () => {
    const router = new Router();
    const dispatcher = new Dispatcher(router, []);
    let isOver = false;
    const refusal = dispatcher.unary(ECHO, new Uint8Array(0), newCall()).then(
      () => 'answered',
      (error: unknown) => {
        isOver = true;
        return reasonOf(error);
      },
    );
    await new Promise(setImmediate);
    assert.equal(isOver, false);
    router.gate.open();
    assert.equal(await refusal, 'SERVICE_NOT_FOUND');
  });

  it('are refused with a delay when a thousand wait already', async () => {
    const router = new Router();
    const dispatcher = new Dispatcher(router, []);
    const waiting = Array.from({ length: 1_000 }, () => dispatcher.unary(ECHO, new Uint8Array(0), newCall()));
    await assert.rejects(dispatcher.unary(ECHO, new Uint8Array(0), newCall()), {
      reason: 'KERNEL_STARTING',
      code: Code.UNAVAILABLE,
    });
    router.gate.open();
    const reasons = (await Promise.allSettled(waiting)).map((each) =>
      each.status === 'rejected' ? reasonOf(each.reason) : 'answered',
    );
    assert.deepEqual(new Set(reasons), new Set(['SERVICE_NOT_FOUND']));
  });

  it('end with their caller', async () => {
    const router = new Router();
    const call = newCall();
    const refusal = new Dispatcher(router, []).unary(ECHO, new Uint8Array(0), call);
    call.abort(new Error('the caller left'));
    router.gate.open();
    await assert.rejects(refusal, { message: 'the caller left' });
  });
});
