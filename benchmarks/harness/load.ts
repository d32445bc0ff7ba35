import { LinkClient } from '../../kernel/link/link-client.ts';

/** What one stretch of load gave. */
export interface LoadResult {
  /** Calls that were answered. */
  readonly calls: number;
  /** Calls a second. */
  readonly callsPerSecond: number;
  /** Half of the calls took no longer, in microseconds. */
  readonly p50Us: number;
  /** 99 of 100 calls took no longer, in microseconds. */
  readonly p99Us: number;
}

/** How load is put on a server. */
export interface LoadOptions {
  /** Port on 127.0.0.1. */
  readonly port: number;
  /** Method path. */
  readonly path: string;
  /** Request message. */
  readonly request: Uint8Array;
  /** Calls under way at once; a new one begins when one ends. */
  readonly concurrency: number;
  /** Length of the stretch. */
  readonly durationMs: number;
}

const CALLS_A_CONNECTION = 16;

/** Puts a closed loop of unary calls on a server. @throws whatever a call fails with: figures of failing servers are void. */
export async function load(options: LoadOptions): Promise<LoadResult> {
  const { port, path, request, concurrency, durationMs } = options;
  const target = { host: '127.0.0.1', port };
  const count = Math.ceil(concurrency / CALLS_A_CONNECTION);
  const links = await Promise.all(Array.from({ length: count }, () => LinkClient.connect(target)));
  const times: number[] = [];
  const startMs = performance.now();
  const endMs = startMs + durationMs;
  const caller = async (link: LinkClient): Promise<void> => {
    for (let before = performance.now(); before < endMs;) {
      await link.unary(path, request, {});
      const after = performance.now();
      times.push(after - before);
      before = after;
    }
  };
  const callers = Array.from({ length: concurrency }, (_, index) => links[index % links.length]).filter(
    (link) => link !== undefined,
  );
  await Promise.all(callers.map(caller));
  const seconds = (performance.now() - startMs) / 1_000;
  await Promise.all(links.map((link) => link.close()));
  times.sort((left, right) => left - right);
  const at = (share: number): number => Math.round((times[Math.floor(times.length * share)] ?? 0) * 1_000);
  return {
    calls: times.length,
    callsPerSecond: Math.round(times.length / seconds),
    p50Us: at(0.5),
    p99Us: at(0.99),
  };
}
