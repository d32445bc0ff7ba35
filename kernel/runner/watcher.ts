import { writeSync } from 'node:fs';
import { steadyMs } from '../steady-clock.ts';
import { parentPort, workerData } from 'node:worker_threads';

/** What the watching thread is given. */
export interface WatcherInput {
  /** Turns that the watched thread has had, and the number of the plugin that began last. */
  readonly marks: Int32Array<SharedArrayBuffer>;
  readonly blockedMs: number;
}

/** What it tells: read by the watched thread once it runs again. */
export interface Blocked {
  readonly number: number;
  /** When the thread had its last turn, by {@link steadyMs}. */
  readonly sinceMs: number;
}

/** Time after which the name is written at once, since the thread may never run again, in milliseconds. */
const HOPELESS_MS = 5_000;

/** Entry of the watching thread: looks whether another thread still has its turns. */
function main({ marks, blockedMs }: WatcherInput): void {
  let names: readonly string[] = [];
  let turns = -1;
  let sinceMs = steadyMs();
  let told: 'nothing' | 'thread' | 'everybody' = 'nothing';
  parentPort?.on('message', (given: readonly string[]) => {
    names = given;
  });
  setInterval(() => {
    const now = Atomics.load(marks, 0);
    if (now !== turns) {
      turns = now;
      sinceMs = steadyMs();
      told = 'nothing';
      return;
    }
    const stuckMs = Math.round(steadyMs() - sinceMs);
    const number = Atomics.load(marks, 1);
    if (told === 'nothing' && stuckMs >= blockedMs) {
      told = 'thread';
      parentPort?.postMessage({ number, sinceMs } satisfies Blocked);
    }
    if (told === 'thread' && stuckMs >= HOPELESS_MS) {
      told = 'everybody';
      const message = 'a plugin blocks the kernel, which answers nobody; run it at WORKER or PROCESS';
      const line = { level: 'error', message, plugin: names[number] ?? '', blockedMs: stuckMs };
      // Past the blocked thread, through which a worker's own output goes.
      writeSync(2, `${JSON.stringify({ time: new Date().toISOString(), ...line })}\n`);
    }
  }, blockedMs / 4);
}

main(workerData as WatcherInput);
