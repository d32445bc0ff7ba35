import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Audit } from '../../../kernel/access/audit.ts';
import { EventBus } from '../../../kernel/events.ts';
import { createLogger } from '../../../kernel/logger.ts';

const EVENT = {
  action: 'denied',
  principal: 'anonymous',
  operation: 'a.v1.S/M',
  rule: '',
  reason: 'X',
  peer: '',
} as const;

describe('the audit file', () => {
  let home = '';
  let logged: string[] = [];
  const clock = { now: () => Date.UTC(2026, 0, 1) };

  beforeEach(async () => {
    home = await mkdtemp(path.join(tmpdir(), 'lamella-test-'));
    logged = [];
  });

  afterEach(() => rm(home, { recursive: true, force: true }));

  function audit(folder = home, fileBytes = 2_000): Audit {
    const log = createLogger({ format: 'json', write: (line) => logged.push(line) });
    return new Audit({ home: folder, fileBytes, events: new EventBus(clock), clock, log });
  }

  it('is begun anew at its size, and four older ones are kept', async () => {
    for (let count = 0; count < 100; count += 1) {
      const one = audit();
      one.record({ ...EVENT, operation: String(count) });
      await one.close();
    }
    const files = (await readdir(home)).toSorted();
    assert.deepEqual(files, [
      'audit.1.jsonl',
      'audit.2.jsonl',
      'audit.3.jsonl',
      'audit.4.jsonl',
      'audit.jsonl',
    ]);
    for (const file of files) assert.ok((await stat(path.join(home, file))).size <= 2_000);
    const last = (await readFile(path.join(home, 'audit.jsonl'), 'utf8')).trim().split('\n').at(-1) ?? '';
    assert.deepEqual(JSON.parse(last), { time: '2026-01-01T00:00:00.000Z', ...EVENT, operation: '99' });
  });

  it('holds one line an event, whatever is in its fields', async () => {
    const one = audit(home, 1e6);
    one.record({ ...EVENT, operation: `http:GET /\n{"action":"forged"}\u0000${'x'.repeat(10_000)}` });
    await one.close();
    const lines = (await readFile(path.join(home, 'audit.jsonl'), 'utf8')).split('\n');
    assert.equal(lines.length, 2);
    assert.ok((lines[0] ?? '').length < 1_000);
  });

  it('says how many events a flood has cost', async () => {
    const one = audit(home, 1e9);
    for (let count = 0; count < 25_000; count += 1) one.record(EVENT);
    await one.close();
    one.record(EVENT);
    await one.close();
    const text = await readFile(path.join(home, 'audit.jsonl'), 'utf8');
    const dropped = /"action":"dropped","count":(\d+)/.exec(text);
    assert.equal((text.match(/"denied"/g) ?? []).length + Number(dropped?.[1]), 25_001);
  });

  it('that cannot be written is told in the log and stops nobody', async () => {
    await writeFile(path.join(home, 'file'), '');
    const one = audit(path.join(home, 'file'));
    one.record(EVENT);
    await one.close();
    assert.match(logged.join(''), /audit file cannot be written/);
  });
});
