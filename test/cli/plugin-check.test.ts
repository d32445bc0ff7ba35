import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Point } from '../../kernel/cli/check/report.ts';
import type { Language } from '../../kernel/cli/plugin-new.ts';
import { needTool, runTool, toolCache } from '../e2e/tool.ts';
import { type MadePlugin, makePlugin } from '../support/template-folder.ts';
import { makeTextPlugin, type TextPlugin } from '../support/text-plugin.ts';
import { Lamella } from './lamella-process.ts';

interface Checked {
  readonly code: number | null;
  readonly points: readonly Point[];
}

async function check(directory: string): Promise<Checked> {
  const { code, out, err } = await new Lamella(['plugin', 'check', directory, '--json']).ended;
  assert.notEqual(out, '', err);
  const { kept, points } = JSON.parse(out) as { kept: boolean; points: Point[] };
  assert.equal(code, kept ? 0 : 1);
  return { code, points };
}

function outcomes({ points }: Checked, wanted: Point['outcome']): string[] {
  return points.filter(({ outcome }) => outcome === wanted).map(({ id }) => id);
}

const EVERY_POINT = [
  'manifest',
  'start',
  'health',
  'reflection',
  'unknown-method',
  'methods',
  'metadata',
  'large-message',
  'garbage',
  'crowd',
  'deadline',
  'cancellation',
  'kill',
  'noise',
  'stdin',
  'sigterm',
];

describe('lamella plugin check', function () {
  this.timeout(240_000);

  describe('of the templates', () => {
    let made: MadePlugin | undefined;

    afterEach(async () => {
      await made?.remove();
      made = undefined;
    });

    it("passes TypeScript; how its process ends is the runner's part", async () => {
      made = await makePlugin('typescript', 'word-count');
      const checked = await check(made.directory);
      assert.deepEqual(outcomes(checked, 'failed'), []);
      assert.deepEqual(outcomes(checked, 'skipped'), ['noise', 'stdin', 'sigterm']);
    });

    const prepare: Readonly<Record<Exclude<Language, 'typescript'>, (directory: string) => Promise<void>>> = {
      python: async (directory) => {
        // What its README says; the packages are kept, so that they are installed once.
        const environment = await toolCache('python-template');
        await runTool('python3', ['-m', 'venv', environment]);
        const pip = ['-m', 'pip', 'install', '--quiet', '-r', path.join(directory, 'requirements.txt')];
        await runTool(path.join(environment, 'bin/python'), pip);
        await runTool('ln', ['-s', environment, path.join(directory, '.venv')]);
      },
      go: async (directory) => {
        await runTool('go', ['build', '-o', '.bin/plugin', '.'], { cwd: directory });
      },
    };
    const ownTests = {
      python: ['./.venv/bin/python', '-m', 'unittest'],
      go: ['go', 'test', './...'],
    } as const;

    for (const language of ['python', 'go'] as const) {
      it(`passes ${language} at every point, and its own tests pass`, async function () {
        made = await makePlugin(language, 'word-count');
        const { directory } = made;
        await needTool(this, `what the ${language} template needs`, () => prepare[language](directory));
        const [program, ...words] = ownTests[language];
        await runTool(program, words, { cwd: directory });
        const checked = await check(directory);
        assert.deepEqual(outcomes(checked, 'failed'), [], JSON.stringify(checked.points, undefined, 2));
        assert.deepEqual(outcomes(checked, 'passed'), EVERY_POINT);
      });
    }
  });

  describe('of a plugin that breaks the contract', () => {
    let plugin: TextPlugin;

    beforeEach(async () => {
      plugin = await makeTextPlugin();
    });

    afterEach(async () => {
      await plugin.remove();
    });

    async function edit(from: string, to: string): Promise<void> {
      const file = path.join(plugin.directory, 'program.cjs');
      const text = await readFile(file, 'utf8');
      assert.ok(text.includes(from), from);
      await writeFile(file, text.replace(from, to));
    }

    async function failing(): Promise<Point[]> {
      const { points } = await check(plugin.directory);
      return points.filter(({ outcome }) => outcome === 'failed');
    }

    it('stops at a manifest that is not valid, with all that is wrong', async () => {
      await plugin.setManifest({ version: 'one' });
      const { points } = await check(plugin.directory);
      assert.deepEqual(
        points.map(({ id }) => id),
        ['manifest'],
      );
      assert.match(points[0]?.reason ?? '', /version 'one' must be a semantic version/);
    });

    it('stops at a program that does not start, with how it ended', async () => {
      await edit('begin();', 'process.exit(3);');
      const [point] = await failing();
      assert.equal(point?.id, 'start');
      assert.match(point?.reason ?? '', /exit code 3/);
    });

    it('finds a method that is not implemented', async () => {
      await edit(
        "repeat: method('/text.v1.ShoutService/Repeat', true)",
        "repeat: method('/text.v1.ShoutService/Other', true)",
      );
      const point = (await failing()).find(({ id }) => id === 'methods');
      assert.match(point?.reason ?? '', /text\.v1\.ShoutService\/Repeat answers UNIMPLEMENTED/);
      assert.notEqual(point?.repair, '');
    });

    it('finds a service without health, garbage taken for a message, a small limit, and a program that will not end', async () => {
      await edit("fs.existsSync('sick-' + version) ? 2 : 1", '_call.request.length > 0 ? 2 : 1');
      await edit(
        "process.stdin.resume().once('end', () => process.exit(0));",
        'setInterval(() => undefined, 1000);',
      );
      await edit('server.tryShutdown(() => process.exit(0))', 'undefined');
      const failed = await failing();
      assert.deepEqual(
        failed.map(({ id }) => id),
        ['health', 'large-message', 'garbage', 'stdin', 'sigterm'],
      );
      assert.match(failed[0]?.reason ?? '', /NOT_SERVING for 'text\.v1\.ShoutService'/);
      assert.match(failed[1]?.reason ?? '', /RESOURCE_EXHAUSTED/);
      assert.ok(failed.every(({ repair }) => repair !== ''));
    });
  });

  it('shows each point with its reason and repair to people', async () => {
    const plugin = await makeTextPlugin();
    try {
      await plugin.setManifest({ version: 'one' });
      const { code, out } = await new Lamella(['plugin', 'check', plugin.directory]).ended;
      assert.equal(code, 1);
      assert.match(out, /^FAIL manifest: plugin\.json is valid\n {5}.*\n/);
      assert.match(out, /0 passed, 1 failed, 0 skipped/);
    } finally {
      await plugin.remove();
    }
  });
});
