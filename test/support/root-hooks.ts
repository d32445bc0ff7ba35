import fc from 'fast-check';
import type { RootHookObject } from 'mocha';
import { fuzzRuns } from './fuzz-runs.ts';

fc.configureGlobal({ numRuns: fuzzRuns(200) });

/** A promise that nobody waits for must fail the test in which it is rejected, not pass unseen. */
const rejections: unknown[] = [];

function keep(reason: unknown): void {
  rejections.push(reason);
}

/** Time for what the last test left to end by itself, in milliseconds. */
const END_LIMIT_MS = 20_000;

/** A test that failed may have left a kernel running; whoever waits for the end of the suite must not wait for ever. */
function endAnyway(): void {
  const timer = setTimeout(() => {
    const left = process.getActiveResourcesInfo().join(', ');
    process.stderr.write(`The tests are over, but something of them still runs: ${left}\n`);
    // After mocha's own listener, which sets the code by the tests that failed.
    process.on('exit', () => (process.exitCode ||= 1));
    process.exit();
  }, END_LIMIT_MS);
  timer.unref();
}

/** Hooks around every test of the suite. */
export const mochaHooks: RootHookObject = {
  beforeAll(): void {
    process.on('unhandledRejection', keep);
  },
  afterEach(): void {
    const [first] = rejections.splice(0);
    if (first !== undefined)
      throw new Error('A promise was rejected and nobody handled it.', { cause: first });
  },
  afterAll(): void {
    process.off('unhandledRejection', keep);
    endAnyway();
  },
};
