import { setTimeout as delay } from 'node:timers/promises';
import { LinkClient } from '../../kernel/link/link-client.ts';
import { at, round } from './statistics.ts';

/** What calls at a fixed rate met. */
export interface PacedResult {
  readonly calls: number;
  readonly failed: number;
  /** From the moment a call was due, not from when it was sent: a stall counts for all whom it kept waiting. In milliseconds. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** How load is put on a server. */
export interface PacedLoad {
  readonly port: number;
  readonly path: string;
  readonly request: Uint8Array;
  readonly callsPerSecond: number;
}

/** Calls at a fixed rate, whatever becomes of the calls before, while `work` runs. */
export async function whilePaced(
  { port, path, request, callsPerSecond }: PacedLoad,
  work: () => Promise<void>,
): Promise<PacedResult> {
  const link = await LinkClient.connect({ host: '127.0.0.1', port });
  const times: number[] = [];
  let failed = 0;
  const call = async (dueMs: number): Promise<void> => {
    try {
      await link.unary(path, request, {});
      times.push(performance.now() - dueMs);
    } catch {
      failed += 1;
    }
  };
  const pending: Promise<void>[] = [];
  const control = { isOver: false };
  const pacer = (async () => {
    const startMs = performance.now();
    for (let count = 0; !control.isOver;) {
      const nowMs = performance.now() - startMs;
      for (; (count * 1_000) / callsPerSecond <= nowMs; count += 1) {
        pending.push(call(startMs + (count * 1_000) / callsPerSecond));
      }
      await delay(1);
    }
  })();
  try {
    await work();
  } finally {
    control.isOver = true;
    await pacer;
    await Promise.all(pending);
    await link.close();
  }
  return {
    calls: times.length,
    failed,
    p50Ms: round(at(times, 0.5), 2),
    p99Ms: round(at(times, 0.99), 2),
    maxMs: round(Math.max(...times), 2),
  };
}
