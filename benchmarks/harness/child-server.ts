import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, watch } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Subject } from './compare.ts';

/** A server in a process of its own. */
export interface ChildServer extends Subject {
  stop(): Promise<void>;
}

/** Starts a program that writes where it listens to a file, its last argument, as JSON with a `grpc` address. */
export async function startChildServer(
  args: (readyFile: string, home: string) => readonly string[],
): Promise<ChildServer> {
  const folder = await mkdtemp(path.join(tmpdir(), 'lamella-bench-'));
  const ready = path.join(folder, 'ready.json');
  const child = spawn(process.execPath, args(ready, path.join(folder, 'home')), {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  for await (const { filename } of watch(folder)) if (filename === 'ready.json') break;
  const { grpc } = JSON.parse(await readFile(ready, 'utf8')) as { grpc: string };
  return {
    port: Number(grpc.split(':').at(-1)),
    pid: child.pid ?? 0,
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
