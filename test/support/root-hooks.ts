import fc from 'fast-check';
import type { RootHookObject } from 'mocha';
import { fuzzRuns } from './fuzz-runs.ts';

fc.configureGlobal({ numRuns: fuzzRuns(200) });

/** A promise that nobody waits for must fail the test in which it is rejected, not pass unseen. */
const rejections: unknown[] = [];

function keep(reason: unknown): void {
  rejections.push(reason);
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
  },
};
