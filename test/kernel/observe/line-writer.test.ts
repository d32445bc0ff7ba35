import assert from 'node:assert/strict';
import { createLogger } from '../../../kernel/logger.ts';
import { LineWriter } from '../../../kernel/observe/line-writer.ts';

/** Larger than the room for waiting lines. */
const MANY = 200;
const LINE = `${'x'.repeat(64 * 1024)}\n`;

describe('lines written behind the back of calls', () => {
  let logged: string[] = [];
  let dropped: Record<string, number> = {};

  beforeEach(() => {
    logged = [];
    dropped = {};
  });

  function writer(append: (text: string) => Promise<void>): LineWriter {
    return new LineWriter({
      destination: 'test',
      append,
      onDropped: (lines, reason) => (dropped[reason] = (dropped[reason] ?? 0) + lines),
      log: createLogger({ format: 'json', write: (line) => logged.push(line) }),
    });
  }

  it('arrive whole, in their order, many at once', async () => {
    const written: string[] = [];
    const lines = writer(async (text) => void written.push(text));
    for (let number = 0; number < 100; number += 1) lines.write(`${number}\n`);
    await lines.close();
    assert.equal(written.length, 1);
    assert.equal(written.join(''), Array.from({ length: 100 }, (_, number) => `${number}\n`).join(''));
  });

  it('are dropped and counted when the destination hangs, and take no more memory', async function () {
    this.timeout(20_000);
    const lines = writer(() => new Promise(() => undefined));
    for (let count = 0; count < MANY; count += 1) lines.write(LINE);
    const full = dropped['full'] ?? 0;
    assert.ok(full > 0 && full < MANY, String(full));
    lines.write(LINE);
    assert.equal(dropped['full'], full + 1);
    await lines.close();
  });

  it('are counted when the destination fails; that is said once, and so is its end', async () => {
    let isFull = true;
    const written: string[] = [];
    const lines = writer(async (text) => {
      if (isFull) throw new Error('ENOSPC: no space left on device');
      written.push(text);
    });
    for (let count = 0; count < 3; count += 1) {
      lines.write('lost\n');
      await lines.close();
    }
    isFull = false;
    lines.write('kept\n');
    await lines.close();
    assert.deepEqual([dropped, written], [{ failed: 3 }, ['kept\n']]);
    assert.equal(logged.length, 2);
    assert.match(logged[0] ?? '', /ENOSPC.*cannot be written/);
  });
});
