import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { HomeState } from '../kernel/drills/home-state.ts';
import { manifestText, Sandbox } from '../kernel/packaging/archives.ts';
import { needTool, runTool } from './tool.ts';

const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
/** Mounts a disk of 96 MiB that nobody else sees and that goes away with the process. */
const ON_SMALL_DISK = 'mount -t tmpfs -o size=96m lamella "$0" && exec "$@"';

/** Runs a script with a small disk as its first argument, and returns what it prints. */
async function onSmallDisk(test: Mocha.Context, name: string, ...words: readonly string[]): Promise<string> {
  const disk = await mkdtemp(path.join(tmpdir(), 'lamella-full-disk-'));
  const run = (...command: readonly string[]): Promise<string> => {
    const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
    return runTool('unshare', [...user, '--mount', 'sh', '-c', ON_SMALL_DISK, disk, ...command]);
  };
  try {
    await needTool(test, 'a mount namespace', () => run('true'));
    return await run(process.execPath, script(name), disk, ...words);
  } finally {
    await rm(disk, { recursive: true, force: true });
  }
}

interface Report {
  readonly rows: string;
  readonly artifact: string;
  readonly smallRows: string;
  readonly smallArtifact: string;
  readonly lostWhileFull: readonly string[];
  readonly lostAfterRestart: readonly string[];
  readonly states: readonly { readonly state: string; readonly restarts: number }[];
  readonly versions: readonly string[];
}

describe('a kernel on a full disk', function () {
  this.timeout(120_000);
  let report: Report;

  before(async function () {
    report = JSON.parse(await onSmallDisk(this, 'full-disk-kernel.js')) as Report;
  });

  it('refuses rows and artifacts, and says why and what to do', () => {
    assert.match(report.rows, /^ROWS_NOT_STORED: .*MiB are needed.*free disk space, then retry/);
    assert.match(report.smallRows, /^ROWS_NOT_STORED: .*free disk space, then retry/);
    assert.match(report.artifact, /^(STORAGE_FULL|STORAGE_FAILED): /);
    assert.match(report.smallArtifact, /^STORAGE_FULL: .*delete versions or give it more room/);
  });

  it('goes on serving with the same processes', () => {
    assert.deepEqual(
      report.states.map(({ state, restarts }) => [state, restarts]),
      [
        ['ACTIVE', 0],
        ['ACTIVE', 0],
      ],
    );
  });

  it('has everything that was acknowledged, while full and after a restart', () => {
    assert.ok(report.versions.length > 5, `only ${report.versions.length} versions fitted`);
    assert.deepEqual([report.lostWhileFull, report.lostAfterRestart], [[], []]);
  });
});

interface HomeReport {
  readonly first: Readonly<Record<string, string>>;
  readonly full: Readonly<Record<string, string>>;
  readonly later: Readonly<Record<string, string>>;
  readonly before: HomeState;
  readonly whileFull: HomeState;
  readonly after: HomeState;
  readonly reopened: HomeState;
  readonly events: readonly { readonly action: string; readonly count?: number }[];
  readonly logged: readonly string[];
}

describe('a home folder on a full disk', function () {
  this.timeout(120_000);
  let report: HomeReport;

  before(async function () {
    const sandbox = await Sandbox.create();
    const folders: string[] = [];
    try {
      for (const version of ['1.0.0', '2.0.0', '3.0.0']) {
        const folder = sandbox.path(`source-${version}`);
        await mkdir(folder);
        await writeFile(path.join(folder, 'plugin.json'), manifestText(version));
        await writeFile(path.join(folder, 'run.sh'), `#!/bin/sh\n# ${version}\n`);
        folders.push(folder);
      }
      report = JSON.parse(await onSmallDisk(this, 'full-disk-home.js', ...folders)) as HomeReport;
    } finally {
      await sandbox.remove();
    }
  });

  it('refuses keys, loads, events and packages with what to do, and takes them when there is room again', () => {
    const all = { key: 'done', load: 'done', event: 'done', install: 'done' };
    assert.deepEqual([report.first, report.later], [all, all]);
    for (const [what, answer] of Object.entries(report.full)) {
      assert.match(answer, /^[A-Z_]+: .*(?:the disk has|no space left)/i, what);
    }
  });

  it('loses nothing that was acknowledged and keeps nothing that was not', () => {
    assert.deepEqual(report.whileFull, report.before);
    assert.deepEqual(report.reopened, report.after);
    assert.deepEqual(report.after.keys, ['key-1', 'key-3']);
    assert.deepEqual(report.after.loaded, ['test.p1', 'test.p3']);
    assert.equal(report.after.lastEvent, 3);
  });

  it('keeps an audit of whole lines, counts those that found no room, and says so once', () => {
    const written = report.events.filter(({ action }) => action === 'denied').length;
    const lost = report.events.reduce((sum, { count = 0 }) => sum + count, 0);
    assert.equal(written + lost, 300);
    assert.ok(lost > 0 && written >= 200, `${written} written, ${lost} lost`);
    assert.equal(report.logged.filter((line) => line.includes('the audit file cannot be written')).length, 1);
  });
});
