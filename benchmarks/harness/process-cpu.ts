import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';

/** Ticks of /proc are hundredths of a second on every Linux that Node supports. */
const TICK_US = 10_000;

/** A process and all below it. Linux only. */
export function processTree(root: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^[0-9]+$/.test(name)) continue;
    const fields = statFields(Number(name));
    if (fields !== undefined) parents.set(Number(name), Number(fields[1]));
  }
  const tree = [root];
  for (const parent of tree) for (const [child, its] of parents) if (its === parent) tree.push(child);
  return tree;
}

/** User and system time that processes have used, in microseconds. */
export function cpuUs(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = statFields(pid);
    ticks += Number(fields?.[11] ?? 0) + Number(fields?.[12] ?? 0);
  }
  return ticks * TICK_US;
}

/** Ties processes with all their threads to cores, for example `0` or `0-3`; false where that cannot be done. */
export function pin(pids: readonly number[], core: number | string): boolean {
  try {
    for (const pid of pids) execFileSync('taskset', ['-acp', String(core), String(pid)], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Puts servers with all below them on one core and this process on another, so that neither takes the other's time. */
export function pinApart(servers: readonly number[]): void {
  const isPinned = servers.every((server) => pin(processTree(server), 0)) && pin([process.pid], 1);
  if (!isPinned) console.error('The processes could not be tied to cores; trust ratios even less.');
}

/** Lets this process, and those it starts from now on, use all cores again. */
export function unpin(): void {
  pin([process.pid], `0-${cpus().length - 1}`);
}

/** Memory of a process that is in RAM, in bytes. Linux only. */
export function residentBytes(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib) * 1024;
}

/** Fields of /proc/PID/stat after the name, which may hold spaces. */
function statFields(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
