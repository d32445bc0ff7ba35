import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { processTree } from '../harness/process-cpu.ts';
import type { LoadClient, LoadTarget } from './load-client.ts';

const START_TIMEOUT_MS = 90_000;
const STOP_TIMEOUT_MS = 10_000;

/** How a server is started: on the ports that it is given. */
export interface ServerCommand {
  readonly command: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Folder to start it in. */
  readonly folder?: string;
}

/** A server that answers. */
export interface RunningServer {
  readonly pid: number;
  /** Time from its start until its first answer. */
  readonly readyMs: number;
  stop(): Promise<void>;
}

/** Starts a server on core 0 and waits until it answers. @throws Error with what it wrote last */
export async function startServer(
  { command, environment, folder }: ServerCommand,
  target: LoadTarget,
  client: LoadClient,
): Promise<RunningServer> {
  const startMs = performance.now();
  const child = spawn('taskset', ['-c', '0', ...command], {
    cwd: folder,
    env: { ...process.env, OMP_NUM_THREADS: '1', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = tailOf(child);
  const stop = (): Promise<void> => stopServer(child);
  while (performance.now() - startMs < START_TIMEOUT_MS && child.exitCode === null) {
    const probe = { target, pid: 0, calls: 1, connections: 1, warmUpMs: 0, durationMs: 50 };
    const figures = await client.run(probe).catch(() => undefined);
    if (figures !== undefined && figures.answered > 0) {
      return { pid: child.pid ?? 0, readyMs: Math.round(performance.now() - startMs), stop };
    }
    await delay(100);
  }
  await stop();
  throw new Error(`it did not answer: ${output().trim().split('\n').slice(-3).join(' / ')}`);
}

function tailOf(child: ChildProcess): () => string {
  let tail = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      tail = (tail + chunk.toString()).slice(-4_000);
    });
  }
  return () => tail;
}

/** Ends a server, and what it leaves behind: some start processes that do not end with them. */
async function stopServer(child: ChildProcess): Promise<void> {
  const tree = processTree(child.pid ?? 0);
  if (child.exitCode === null && child.signalCode === null) {
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    await Promise.race([exit, delay(STOP_TIMEOUT_MS, undefined, { ref: false })]);
  }
  for (const pid of tree) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
  }
}

/** A port on which nothing listens now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('There is no free port.');
  return address.port;
}
