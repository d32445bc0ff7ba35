import assert from 'node:assert/strict';
import { EchoService } from '../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { LinkClient } from '../../kernel/link/link-client.ts';
import { LinkTransport } from '../../kernel/kernel-link.ts';
import { createClient, EncodingTransport } from '../../kernel/client.ts';
import type { Client } from '../../sdk/index.ts';
import { copyEcho, type EchoPlugin } from '../support/echo-plugin.ts';
import { KernelInProcess } from '../support/kernel-in-process.ts';

/** A process takes up to half a second to start: all 200 take minutes, which only CI has, and there only once. */
const HAS_MINUTES = process.env['CI'] === 'true' && process.env['NODE_V8_COVERAGE'] === undefined;
const IS_SOAK = process.env['LAMELLA_SOAK'] === '1';
const RELOADS = {
  INLINE: IS_SOAK ? 1_000 : 200,
  WORKER: IS_SOAK ? 1_000 : 40,
  PROCESS: IS_SOAK ? 1_000 : HAS_MINUTES ? 200 : 40,
} as const;
/**
 * How much what the kernel can reach may grow after reload 20, in MiB: a version that is held is 1 MiB a reload inline,
 * and the lists of one reload that are held show within 200.
 */
const MOST_REACHABLE_MIB = 5;
/**
 * The same of its resident memory, which also has the threads of workers, some 6 MiB each. Allocators keep more or less
 * of the pages that were freed: readings of the same state differ by 20 MiB.
 */
const MOST_RESIDENT_MIB = 60;

/** Calls after which the heap has the size that calls alone give it: that it grows until then is no reload's doing. */
const WARM_UP_CALLS = 30_000;

const UNARY_CALLERS = 64;
const STREAMS = 8;

/** Streams end and begin anew, well within the time that a drain gives them, in milliseconds. */
const STREAM_MS = 3_000;

/** Callers outside the kernel that never pause; they stop when told. */
class Load {
  readonly #client: Client<typeof EchoService>;
  readonly failures: unknown[] = [];
  readonly versions: Set<string> = new Set();
  calls = 0;
  /** Resolves after {@link WARM_UP_CALLS}. */
  readonly isWarm: Promise<void>;
  #tellWarm: () => void = () => undefined;
  #isStopping = false;
  readonly #work: Promise<unknown>;

  constructor(client: Client<typeof EchoService>) {
    this.#client = client;
    this.isWarm = new Promise((resolve) => {
      this.#tellWarm = resolve;
    });
    const callers = Array.from({ length: UNARY_CALLERS }, () => this.#unary());
    const streams = Array.from({ length: STREAMS }, () => this.#stream());
    this.#work = Promise.all([...callers, ...streams]);
  }

  async #unary(): Promise<void> {
    while (!this.#isStopping) {
      try {
        const { version } = await this.#client.say({ payload: Buffer.from('x') });
        this.versions.add(version);
        this.calls += 1;
        if (this.calls === WARM_UP_CALLS) this.#tellWarm();
      } catch (error) {
        this.failures.push(error);
      }
    }
  }

  async #stream(): Promise<void> {
    while (!this.#isStopping) await this.#oneStream(Date.now() + STREAM_MS);
  }

  /** A stream must go on talking to the copy it began with, however often the plugin is replaced meanwhile. */
  async #oneStream(untilMs: number): Promise<void> {
    const isOver = (): boolean => this.#isStopping || Date.now() >= untilMs;
    let answered: () => void = () => undefined;
    async function* requests(): AsyncGenerator<{ payload: Uint8Array }> {
      while (!isOver()) {
        const next = new Promise<void>((resolve) => {
          answered = resolve;
        });
        yield { payload: Buffer.from('x') };
        await next;
      }
    }
    try {
      const versions = new Set<string>();
      for await (const { version } of this.#client.chat(requests())) {
        versions.add(version);
        answered();
      }
      assert.equal(versions.size, 1);
    } catch (error) {
      this.failures.push(error);
    }
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#work;
  }
}

for (const isolation of ['INLINE', 'WORKER', 'PROCESS'] as const) {
  describe(`reloading a plugin at isolation ${isolation}`, function () {
    this.timeout(IS_SOAK ? 2_400_000 : 400_000);
    const reloads = RELOADS[isolation];
    let kernel: KernelInProcess;
    let plugin: EchoPlugin;
    let link: LinkClient;
    let client: Client<typeof EchoService>;

    before(async () => {
      plugin = await copyEcho();
      // A large bundle, as a real plugin has: what is not released shows.
      await plugin.replaceCode(
        'import { setTimeout',
        `const ballast = '${'x'.repeat(1_000_000)}';\nimport { setTimeout`,
      );
      await plugin.replaceCode(
        'return { payload, version };',
        'return { payload, version: version.slice(0, ballast.length) };',
      );
      kernel = await KernelInProcess.start([plugin.directory], {
        plugins: { 'example.echo': { isolation } },
      });
      const [host = '', port = ''] = kernel.address.split(':');
      link = await LinkClient.connect({ host, port: Number(port) });
      client = createClient(EchoService, new EncodingTransport(new LinkTransport(link)));
    });

    after(async () => {
      await link.close();
      await kernel.stop();
      await plugin.remove();
    });

    it(`loses no call in ${reloads} reloads under load and keeps its memory`, async () => {
      const load = new Load(client);
      let early = await kernel.memory();
      await load.isWarm;
      for (let index = 1; index <= reloads; index += 1) {
        await plugin.setVersion(`0.1.${index}`);
        await kernel.reload('example.echo');
        if (index === 20) early = await kernel.memory();
      }
      const late = await kernel.memory();
      const reachableMib = (late.reachableBytes - early.reachableBytes) / 2 ** 20;
      const residentMib = (late.residentBytes - early.residentBytes) / 2 ** 20;
      await load.stop();
      assert.deepEqual(load.failures, []);
      assert.ok(load.calls > reloads, `only ${load.calls} calls were made`);
      assert.ok(load.versions.size > 10, `answers came from ${load.versions.size} versions only`);
      process.stdout.write(
        `      ${load.calls} calls, ${load.versions.size} versions seen, since reload 20 reachable ${reachableMib.toFixed(1)} and resident ${residentMib.toFixed(1)} MiB up\n`,
      );
      if (process.env['NODE_V8_COVERAGE'] !== undefined) {
        process.stdout.write('      memory is not judged in a coverage run: V8 keeps all code it counts\n');
        return;
      }
      assert.ok(
        reachableMib < MOST_REACHABLE_MIB,
        `what is reachable grew by ${reachableMib.toFixed(1)} MiB`,
      );
      assert.ok(residentMib < MOST_RESIDENT_MIB, `resident memory grew by ${residentMib.toFixed(1)} MiB`);
    });

    it('keeps the old version in service when the new one does not start, and says why', async () => {
      await plugin.setVersion('9.0.0');
      await plugin.replaceCode('export function createEchoService', 'broken code here');
      await assert.rejects(kernel.reload('example.echo'), /broken code|Expected|did not start|not healthy/);
      const { version } = await client.say({ payload: Buffer.from('still there') });
      assert.equal(version, `0.1.${reloads}`);
      const { state, reason } = await kernel.describe('example.echo');
      assert.equal(state, 'ACTIVE');
      assert.match(reason, /reload failed/);
    });
  });
}
