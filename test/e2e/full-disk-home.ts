import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { Audit } from '../../kernel/access/audit.ts';
import { EventBus } from '../../kernel/events.ts';
import { createLogger } from '../../kernel/logger.ts';
import { TrustStore } from '../../kernel/packaging/trust-store.ts';
import { isDeclaredError } from '../../sdk/index.ts';
import { Home, type HomeState } from '../kernel/drills/home-state.ts';
import { fillDisk } from './fill-disk.ts';

/**
 * The parts of a kernel that keep something in its home, on a small disk of its own: `node full-disk-home.js DIRECTORY
 * FOLDER...`. It changes each, fills the disk, tries again, makes room, and tries once more. Prints one JSON object.
 */
const [, , disk = '', ...folders] = process.argv;
const home = path.join(disk, 'home');
const filler = path.join(disk, 'filler');
const clock = { now: () => Date.now() };
const logged: string[] = [];
const log = createLogger({ format: 'json', write: (line) => logged.push(line) });
const audit = new Audit({ home, fileBytes: 10_000_000, events: new EventBus(clock), clock, log });
const opened = await Home.open(home);

async function attempt(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'done';
  } catch (error) {
    return isDeclaredError(error) ? `${error.reason}: ${error.message}` : String(error);
  }
}

async function record(count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    const operation = `a.v1.S/${'x'.repeat(250)}`;
    audit.record({ action: 'denied', principal: 'p', operation, rule: '', reason: 'X', peer: '' });
    await audit.close();
  }
}

/** Every kind of change once. */
async function changes(number: number): Promise<Record<string, string>> {
  await record(100);
  return {
    key: await attempt(opened.addKey(`key-${number}`)),
    load: await attempt(opened.load(`test.p${number}`)),
    event: await attempt(opened.publish(number)),
    install: await attempt(opened.install(folders[number % folders.length] ?? '')),
  };
}

await new TrustStore(home).add(['test.hello']);
const first = await changes(1);
const before: HomeState = await opened.state();
await fillDisk(filler);
const full = await changes(2);
const whileFull: HomeState = await opened.state();
await rm(filler);
const later = await changes(3);
const after: HomeState = await opened.state();
await opened.close();
const again = await Home.open(home);
const reopened: HomeState = await again.state();
await again.close();
const lines = (await readFile(path.join(home, 'audit.jsonl'), 'utf8')).trimEnd().split('\n');
const events = lines.map((line) => JSON.parse(line) as { action: string; count?: number });
process.stdout.write(
  `${JSON.stringify({ first, before, full, whileFull, later, after, reopened, events, logged })}\n`,
);
