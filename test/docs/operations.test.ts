import assert from 'node:assert/strict';
import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readConfig } from '../../kernel/config.ts';
import { ROOT } from '../support/echo-plugin.ts';
import { runLamella } from '../support/run-lamella.ts';

/** Commands in blocks and between backticks, up to a remark or a pipe. */
const COMMAND = /(?:^|`)(lamella [^`|#\n]+)/gm;
const JSON_BLOCK = /^```json\n([\s\S]*?)^```$/gm;
const FILE = /`((?:test|benchmarks)\/[\w./-]+\.ts)`/g;
const REASON = /^\| (?:an? )?([A-Z][A-Z0-9_]+(?:, [A-Z][A-Z0-9_]+)*) \|/gm;

/** What help says of a command: its words are taken as long as they name commands. */
async function helpOf(words: readonly string[]): Promise<string> {
  const names = words.filter((word) => /^[a-z][a-z-]*$/.test(word)).slice(0, 2);
  const deep = await runLamella([...names, '--help']);
  return deep.code === 0 ? deep.out : (await runLamella([...names.slice(0, 1), '--help'])).out;
}

describe('docs/operations.md', function () {
  this.timeout(60_000);
  let page: string;

  before(async () => {
    page = await readFile(path.join(ROOT, 'docs/operations.md'), 'utf8');
  });

  it('has only commands and options that there are', async () => {
    const commands = [...page.matchAll(COMMAND)].map(([, command = '']) => command.trim());
    assert.ok(commands.length > 30, String(commands.length));
    for (const command of commands) {
      const words = command.split(/\s+/).slice(1);
      const help = await helpOf(words);
      assert.match(help, new RegExp(`^Usage: lamella ${words[0] ?? ''}\\b`), command);
      const [second = ''] = words.slice(1);
      const isGroup = help.includes('[command]');
      assert.ok(!isGroup || new RegExp(`^  ${second}\\b`, 'm').test(help), `${command}: no such command`);
      for (const option of words.filter((word) => word.startsWith('--'))) {
        assert.ok(help.includes(option), `${command}: no ${option}`);
      }
    }
  });

  it('has configuration that a kernel takes', async () => {
    const home = await mkdtemp(path.join(tmpdir(), 'lamella-operations-'));
    for (const [, text = ''] of page.matchAll(JSON_BLOCK)) {
      await writeFile(path.join(home, 'config.json'), text);
      await readConfig(home);
    }
    await rm(home, { recursive: true });
  });

  it('names only files and errors that there are', async () => {
    for (const [, file = ''] of page.matchAll(FILE)) await access(path.join(ROOT, file));
    const known = await readFile(path.join(ROOT, 'docs/errors.md'), 'utf8');
    const states = ['UNIMPLEMENTED', 'UNAUTHENTICATED', 'PERMISSION_DENIED'];
    for (const [, reasons = ''] of page.matchAll(REASON)) {
      for (const reason of reasons.split(', ')) {
        assert.ok(states.includes(reason) || known.includes(`| \`${reason}\` |`), reason);
      }
    }
  });
});
