import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { InstanceLoad } from '../../../kernel/loader/instance.ts';
import { startProcess } from '../../../kernel/loader/process.ts';
import { createLogger } from '../../../kernel/logger.ts';
import { manifest } from '../registry/manifests.ts';

describe('the start of a plugin process', () => {
  it('that fails before there is a process leaves neither its socket folder nor its token', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'lamella-start-'));
    const { TMPDIR } = process.env;
    process.env['TMPDIR'] = folder;
    let revoked = 0;
    try {
      const start = startProcess({
        manifest: manifest('example.none', { entry: { command: ['true'] } }),
        directory: folder,
        code: { digest: '', bundle: undefined },
        kernelSocket: '',
        environment: {},
        load: new InstanceLoad(),
        log: createLogger({ level: 'silent' }),
        permissions: () => [],
        isHeldToFiles: false,
        confine: async () => {
          throw new Error('there is no prlimit');
        },
        output: { watchLevel: () => () => undefined },
        register: () => ({ announced: () => [], servesHttp: () => false, revoke: () => (revoked += 1) }),
      });
      await assert.rejects(start, /there is no prlimit/);
      assert.deepEqual([await readdir(folder), revoked], [[], 1]);
    } finally {
      if (TMPDIR === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = TMPDIR;
      await rm(folder, { recursive: true, force: true });
    }
  });
});
