import { round } from '../harness/statistics.ts';
import type { LoadClient, LoadFigures, LoadTarget } from './load-client.ts';

/** Time that a caller is willing to wait, in milliseconds. */
const OBJECTIVE_MS = 100;
const DURATION_MS = 5_000;

/** What a server does below and above what it can. */
export interface Overload {
  readonly capacityPerSecond: number;
  readonly at70Percent: LoadFigures;
  readonly at200Percent: LoadFigures;
  /** Figures of the second after the overload, at 70 percent. */
  readonly after: LoadFigures;
  readonly verdict: readonly string[];
}

/** Puts 70 percent and twice of its capacity on a server, in the open loop. */
export async function overload(client: LoadClient, target: LoadTarget, pid: number): Promise<Overload> {
  const closed = await client.run({ target, pid, calls: 64, connections: 4, durationMs: DURATION_MS });
  const open = (share: number, durationMs: number, warmUpMs?: number): Promise<LoadFigures> =>
    client.run({
      target,
      pid,
      rate: Math.round(closed.perSecond * share),
      connections: 8,
      durationMs,
      patienceMs: OBJECTIVE_MS,
      ...(warmUpMs === undefined ? {} : { warmUpMs }),
    });
  const at70Percent = await open(0.7, DURATION_MS);
  const at200Percent = await open(2, DURATION_MS);
  // What is measured begins 100 ms after the overload has ended.
  const after = await open(0.7, 1_000, 100);
  const goodput = round(at200Percent.perSecond / closed.perSecond, 2);
  const told = (what: string, isKept: boolean): string => `${what}: ${isKept ? 'kept' : 'MISSED'}`;
  return {
    capacityPerSecond: closed.perSecond,
    at70Percent,
    at200Percent,
    after,
    verdict: [
      told(`p99 at 70 % of capacity: ${at70Percent.p99Ms} ms, goal below 5`, at70Percent.p99Ms < 5),
      told(`goodput at twice the capacity over the peak: ${goodput}, goal 0.95 at least`, goodput >= 0.95),
      told(
        `p99 of what is answered then: ${at200Percent.p99Ms} ms, goal ${OBJECTIVE_MS} at most`,
        at200Percent.p99Ms <= OBJECTIVE_MS,
      ),
      told(
        `p99 from 100 ms after it at 70 %: ${after.p99Ms} ms, goal below 5, ${after.refused + after.failed} lost`,
        after.p99Ms < 5 && after.refused + after.failed === 0,
      ),
    ],
  };
}
