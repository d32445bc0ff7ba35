import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';

/**
 * Processors that this process may keep busy: those it is tied to, and no more than the share that its container has,
 * which Node 20 does not look at. At least 1.
 *
 * @param cpuMax - File of the control group that holds the share; another one in tests.
 */
export async function availableCores(cpuMax: string = '/sys/fs/cgroup/cpu.max'): Promise<number> {
  const text = await readFile(cpuMax, 'utf8').catch(() => 'max');
  const [quota, period] = text.trim().split(/\s+/).map(Number);
  const share =
    quota !== undefined && period !== undefined && quota > 0 && period > 0 ? quota / period : Infinity;
  return Math.max(1, Math.min(availableParallelism(), Math.ceil(share)));
}
