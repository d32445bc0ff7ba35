import assert from 'node:assert/strict';
import path from 'node:path';
import { EchoService } from '../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { quantileMs } from '../../kernel/cli/top/rates.ts';
import { runProgram } from '../../kernel/cli/program.ts';
import { startTestKernel, type TestKernel } from '../../sdk/testing/index.ts';
import { runLamella } from '../support/run-lamella.ts';
import { ROOT } from './lamella-process.ts';

interface Row {
  readonly id: string;
  readonly state: string;
  readonly callsPerSecond: number;
  readonly errorsPerSecond: number;
  readonly p99Ms: number | null;
  readonly inFlight: number;
  readonly memoryBytes: number | null;
  readonly methods: readonly { readonly method: string; readonly callsPerSecond: number }[];
}

describe('a quantile from buckets', () => {
  const bounds = [0.001, 0.01, 0.1];

  it('lies inside its bucket by its share, as Prometheus has it', () => {
    assert.equal(quantileMs(0.5, [10, 0, 0, 0], bounds), 0.5);
    assert.equal(quantileMs(0.5, [5, 10, 0, 0], bounds)?.toFixed(6), '3.250000');
  });

  it('is the highest bound above all of them, and nothing without a call', () => {
    assert.equal(quantileMs(0.99, [0, 0, 0, 3], bounds), 100);
    assert.equal(quantileMs(0.99, [0, 0, 0, 0], bounds), null);
  });
});

describe('lamella top', function () {
  this.timeout(30_000);
  let kernel: TestKernel;

  before(async () => {
    const config = { plugins: { 'example.echo': { isolation: 'PROCESS' } } };
    kernel = await startTestKernel({ plugins: [path.join(ROOT, 'examples', 'echo')], config });
  });

  after(() => kernel.stop());

  const top = (...words: readonly string[]) =>
    runLamella(['top', '--home', kernel.home, '--interval', '0.2', ...words]);

  /** Calls the plugin until something else is done. */
  async function during<Result>(work: Promise<Result>): Promise<Result> {
    let isDone = false;
    const result = work.finally(() => {
      isDone = true;
    });
    while (!isDone) {
      await kernel.call(EchoService).say({});
      await kernel
        .call(EchoService)
        .say({ delayMs: 60_000 }, { timeoutMs: 1 })
        .catch(() => undefined);
    }
    return result;
  }

  it('prints rates, errors, durations and memory as JSON', async () => {
    const { code, out } = await during(top('--once', '--json'));
    assert.equal(code, 0);
    const { plugins } = JSON.parse(out) as { plugins: Row[] };
    const echo = plugins.find(({ id }) => id === 'example.echo') ?? assert.fail(out);
    assert.equal(echo.state, 'ACTIVE');
    assert.ok(echo.callsPerSecond > 0 && echo.errorsPerSecond > 0 && (echo.p99Ms ?? 0) > 0, out);
    assert.ok(echo.errorsPerSecond < echo.callsPerSecond && (echo.memoryBytes ?? 0) > 1 << 20, out);
    assert.deepEqual(
      echo.methods.map(({ method }) => method),
      ['/echo.v1.EchoService/Say'],
    );
    assert.ok(plugins.some(({ id, memoryBytes }) => id === 'kernel' && memoryBytes !== null));
  });

  it('draws a table of 80 columns without colours, with methods where they are wanted', async () => {
    const { out } = await during(top('--once', '--methods', '--sort', 'name'));
    assert.match(out, /^plugin +state +calls\/s +err\/s +p50 +p95 +p99 +run +wait +MiB +rst$/m);
    assert.match(out, /^example\.echo +ACTIVE +[\d.k]+ /m);
    assert.match(out, /^ {2}EchoService\/Say +[\d.k]+ /m);
    for (const line of out.split('\n')) assert.ok(line.length <= 80, line);
    assert.ok(!out.includes('\u001b'));
  });

  it('goes on until somebody presses q', async () => {
    const drawn: string[] = [];
    let press: (key: string) => void = () => undefined;
    let isReleased = false;
    const code = await runProgram(['top', '--home', kernel.home, '--interval', '0.2'], {
      out: (text) => {
        drawn.push(text);
        if (drawn.length === 1) press('m');
        if (drawn.length === 2) press('q');
      },
      err: () => undefined,
      isInteractive: true,
      onKey: (listener) => {
        press = listener;
        return () => {
          isReleased = true;
        };
      },
      environment: {},
      exit: () => assert.fail('must not exit'),
    });
    assert.deepEqual([code, drawn.length, isReleased], [0, 2, true]);
    assert.match(drawn[1] ?? '', /EchoService\/Say/);
  });

  it('says what is wrong with an option, and that no kernel runs', async () => {
    const wrong = await top('--interval', '0');
    assert.equal(wrong.code, 2);
    assert.match(wrong.err, /from 0\.2 to 3600/);
    assert.equal((await top('--sort', 'luck')).code, 2);
    assert.equal((await runLamella(['top', '--address', '127.0.0.1:1'])).code, 3);
  });
});
