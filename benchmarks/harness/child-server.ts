import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, watch } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Subject } from './compare.ts';

/** A server in a process of its own. */
export interface ChildServer extends Subject {
  /** Folder that the server may keep things in; gone when it has stopped. */
  readonly home: string;
  /** Time from its start until it said that it serves, in milliseconds. */
  readonly readyMs: number;
  stop(): Promise<void>;
}

/**
 * Starts a program that writes where it listens to a file, its last argument, as JSON with a `grpc` address.
 *
 * @param program - Node by default.
 */
export async function startChildServer(
  args: (readyFile: string, home: string) => readonly string[],
  program: string = process.execPath,
): Promise<ChildServer> {
  const folder = await mkdtemp(path.join(tmpdir(), 'lamella-bench-'));
  const [ready, home] = [path.join(folder, 'ready.json'), path.join(folder, 'home')];
  const appeared = watch(folder)[Symbol.asyncIterator]();
  const startedMs = performance.now();
  const child = spawn(program, args(ready, home), { stdio: ['ignore', 'ignore', 'inherit'] });
  const exit = new Promise<never>((_, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${program} ended with ${code} before it served`)));
  });
  // Nobody waits for it once the server runs.
  exit.catch(() => undefined);
  for (;;) {
    const { value } = await Promise.race([appeared.next(), exit]);
    if (value?.filename === 'ready.json') break;
  }
  const readyMs = performance.now() - startedMs;
  await appeared.return?.();
  const { grpc } = JSON.parse(await readFile(ready, 'utf8')) as { grpc: string };
  return {
    port: Number(grpc.split(':').at(-1)),
    pid: child.pid ?? 0,
    home,
    readyMs,
    stop: async () => {
      await ended(child);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function ended(child: ChildProcess): Promise<void> {
  const exit = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  child.kill('SIGTERM');
  await exit;
}
