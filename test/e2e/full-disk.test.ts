import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { needTool, runTool } from './tool.ts';

const SCRIPT = fileURLToPath(new URL('full-disk-kernel.js', import.meta.url));
/** Mounts a disk of 96 MiB that nobody else sees and that goes away with the process. */
const ON_SMALL_DISK = 'mount -t tmpfs -o size=96m lamella "$0" && exec "$@"';

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
    const disk = await mkdtemp(path.join(tmpdir(), 'lamella-full-disk-'));
    const onSmallDisk = (...command: readonly string[]): Promise<string> => {
      const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
      return runTool('unshare', [...user, '--mount', 'sh', '-c', ON_SMALL_DISK, disk, ...command]);
    };
    try {
      await needTool(this, 'a mount namespace', () => onSmallDisk('true'));
      report = JSON.parse(await onSmallDisk(process.execPath, SCRIPT, disk)) as Report;
    } finally {
      await rm(disk, { recursive: true, force: true });
    }
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
