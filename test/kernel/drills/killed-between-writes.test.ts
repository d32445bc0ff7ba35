import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { TrustStore } from '../../../kernel/packaging/trust-store.ts';
import { manifestText, Sandbox } from '../packaging/archives.ts';
import { Home, type HomeState } from './home-state.ts';

const ROUNDS = 8;
const CHANGER = path.join(import.meta.dirname, 'change-home.js');

interface Announced {
  readonly before: HomeState;
  readonly after: HomeState;
}

describe('drill: killed between two writes', function () {
  this.timeout(180_000);
  let sandbox: Sandbox;
  let home: string;
  const folders: string[] = [];

  before(async () => {
    sandbox = await Sandbox.create();
    home = sandbox.path('home');
    await new TrustStore(home).add(['test.hello']);
    for (const version of ['0.0.0', '1.0.0', '2.0.0']) {
      const folder = sandbox.path(`source-${version}`);
      await mkdir(folder);
      await writeFile(path.join(folder, 'plugin.json'), manifestText(version));
      await writeFile(path.join(folder, 'run.sh'), `#!/bin/sh\n# ${version}\n`);
      folders.push(folder);
    }
  });

  after(() => sandbox.remove());

  /** Changes the home until so many lines were printed and some time more, then kills; what was announced last. */
  async function changeAndKill(seed: number): Promise<{ announced: Announced; isDone: boolean }> {
    const child = spawn(process.execPath, [CHANGER, home, String(seed), ...folders], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines: string[] = [];
    const reader = createInterface(child.stdout);
    const ended = Promise.all([once(child, 'exit'), once(reader, 'close')]);
    const wanted = 3 + (seed % 37);
    reader.on('line', (line) => {
      lines.push(line);
      // Anywhere in the change that begins or has begun.
      if (lines.length === wanted) setTimeout(() => child.kill('SIGKILL'), (seed * 7_919) % 40);
    });
    const [[, signal]] = (await ended) as [[number | null, string | null], unknown];
    assert.equal(signal, 'SIGKILL', lines.join('\n'));
    const isDone = lines.at(-1) === 'done';
    const announced = JSON.parse(lines.at(isDone ? -2 : -1) ?? '') as Announced;
    return { announced, isDone };
  }

  it('a home holds what was acknowledged, and of one more change all or nothing', async () => {
    const first = Date.now() % 100_000;
    for (let round = 0; round < ROUNDS; round += 1) {
      const seed = 1 + first + round;
      const { announced, isDone } = await changeAndKill(seed);
      const opened = await Home.open(home);
      const state = await opened.state();
      const allowed = isDone ? [announced.after] : [announced.before, announced.after];
      const texts = allowed.map((one) => JSON.stringify(one));
      assert.ok(
        texts.includes(JSON.stringify(state)),
        `seed ${seed}: ${JSON.stringify(state)} is not ${texts.join(' or ')}`,
      );
      // What a killed command left does not stand in the way of the next.
      await opened.install(folders[0] ?? '');
      await opened.close();
    }
  });
});
