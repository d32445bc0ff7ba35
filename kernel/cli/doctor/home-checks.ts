import { access, constants, readFile, statfs } from 'node:fs/promises';
import path from 'node:path';
import { readConfig } from '../../config.ts';
import { HomeLock } from '../../home-lock.ts';
import { termProblem } from '../../server/certificates.ts';
import type { Check } from './check.ts';

const GIB = 1024 ** 3;

/** The home folder: may be written, has space, is not taken, and its configuration is in order. */
export async function homeChecks(home: string): Promise<Check[]> {
  const existing = await nearestExisting(home);
  return [
    await writeCheck(home, existing),
    await spaceCheck(existing),
    await lockCheck(home),
    await configCheck(home),
    ...(await certificateChecks(home)),
  ];
}

async function nearestExisting(folder: string): Promise<string> {
  const isThere = await access(folder).then(
    () => true,
    () => false,
  );
  return isThere || folder === path.dirname(folder) ? folder : nearestExisting(path.dirname(folder));
}

async function writeCheck(home: string, existing: string): Promise<Check> {
  const name = 'home';
  try {
    await access(existing, constants.W_OK | constants.X_OK);
  } catch {
    const detail = `${existing} may not be written by this user`;
    return { name, verdict: 'failed', detail, repair: 'change its owner, or choose another with --home' };
  }
  return { name, verdict: 'ok', detail: existing === home ? home : `${home} will be made` };
}

async function spaceCheck(existing: string): Promise<Check> {
  const { bavail, bsize } = await statfs(existing);
  const free = (bavail * bsize) / GIB;
  const detail = `${free.toFixed(1)} GiB free`;
  if (free >= 1) return { name: 'home.space', verdict: 'ok', detail };
  return {
    name: 'home.space',
    verdict: 'warning',
    detail,
    repair: 'make room: datasets and models live there',
  };
}

async function lockCheck(home: string): Promise<Check> {
  const owner = await HomeLock.owner(home);
  if (owner === undefined) return { name: 'home.lock', verdict: 'ok', detail: 'no kernel uses it' };
  const detail = `a kernel uses it, process ${owner}`;
  return { name: 'home.lock', verdict: 'note', detail, repair: 'a second kernel needs another --home' };
}

/** The certificate of the listeners, where the configuration names one; what else is wrong with it is told above. */
async function certificateChecks(home: string): Promise<Check[]> {
  const config = await readConfig(home).catch(() => undefined);
  if (config?.tls === undefined) return [];
  const name = 'tls.cert';
  const file = path.resolve(config.tls.cert);
  const repair = 'put a new pair in place; a running kernel takes it without a restart';
  try {
    const problem = termProblem(await readFile(file), Date.now());
    if (problem === '') return [{ name, verdict: 'ok', detail: file }];
    const verdict = problem.startsWith('expires') ? 'warning' : 'failed';
    return [{ name, verdict, detail: `${file} ${problem}`, repair }];
  } catch (error) {
    return [{ name, verdict: 'failed', detail: `${file}: ${(error as Error).message}`, repair }];
  }
}

async function configCheck(home: string): Promise<Check> {
  try {
    await readConfig(home);
    return { name: 'config', verdict: 'ok', detail: 'in order' };
  } catch (error) {
    const repair = "correct it; 'lamella config check' shows all that is wrong";
    return { name: 'config', verdict: 'failed', detail: (error as Error).message, repair };
  }
}
