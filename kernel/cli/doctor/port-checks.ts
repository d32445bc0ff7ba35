import { readdir, readFile, readlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Check } from './check.ts';

/** The ports that a kernel would take. */
export interface Ports {
  readonly grpc: number;
  readonly http: number;
  readonly metrics: number;
}

/** Whether each port is free, or who has it. */
export async function portChecks(host: string, ports: Ports): Promise<Check[]> {
  return Promise.all(
    Object.entries(ports).map(([name, port]) => portCheck(`port.${name}`, host, port as number)),
  );
}

async function portCheck(name: string, host: string, port: number): Promise<Check> {
  if (port === 0) return { name, verdict: 'ok', detail: 'any free port' };
  const problem = await bindProblem(host, port);
  if (problem === undefined) return { name, verdict: 'ok', detail: `${host}:${port} is free` };
  if (problem !== 'EADDRINUSE') {
    return { name, verdict: 'failed', detail: `${host}:${port} cannot be taken: ${problem}` };
  }
  const owner = await ownerOf(port);
  return {
    name,
    verdict: 'warning',
    detail: `${host}:${port} is taken by ${owner ?? 'a process that is not visible to you'}`,
    repair: `stop it, or start with --${name.slice(5)}-port 0`,
  };
}

async function bindProblem(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

/** Who listens on a port, from /proc: `undefined` where there is none, or the process belongs to somebody else. */
async function ownerOf(port: number): Promise<string | undefined> {
  const inodes = new Set([
    ...(await listeners('/proc/net/tcp', port)),
    ...(await listeners('/proc/net/tcp6', port)),
  ]);
  if (inodes.size === 0) return undefined;
  for (const pid of await readdir('/proc').catch(() => [])) {
    if (/^\d+$/.test(pid) && (await holds(pid, inodes))) return `process ${pid} (${await commandOf(pid)})`;
  }
  return undefined;
}

/** Inodes of the listening sockets; columns by proc(5): 1 local address, 3 state (0A listens), 9 inode. */
async function listeners(table: string, port: number): Promise<string[]> {
  const text = await readFile(table, 'utf8').catch(() => '');
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return text
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[1]?.endsWith(suffix) === true && columns[3] === '0A')
    .map((columns) => columns[9] ?? '');
}

async function holds(pid: string, inodes: ReadonlySet<string>): Promise<boolean> {
  const names = await readdir(`/proc/${pid}/fd`).catch(() => []);
  for (const name of names) {
    const link = await readlink(`/proc/${pid}/fd/${name}`).catch(() => '');
    if (link.startsWith('socket:[') && inodes.has(link.slice(8, -1))) return true;
  }
  return false;
}

async function commandOf(pid: string): Promise<string> {
  const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  // Arguments may hold secrets; the program and the script it runs name it well enough.
  return text.split('\0').slice(0, 2).join(' ').trim() || 'unknown';
}
