import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { toJson } from '@bufbuild/protobuf';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import {
  EventService,
  type SubscribeResponse,
} from '../../../proto/gen/lamella/kernel/v1/event_service_pb.ts';
import { PluginService } from '../../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { startTestKernel, type TestKernel } from '../../../sdk/testing/index.ts';
import type { EchoPlugin } from '../../support/echo-plugin.ts';
import { runLamella } from '../../support/run-lamella.ts';
import { attempt, ID, reachingPlugin } from './reaching-plugin.ts';

for (const isolation of ['INLINE', 'WORKER', 'PROCESS'] as const) {
  describe(`a plugin that reaches past its rights at isolation ${isolation}`, function () {
    this.timeout(30_000);
    let kernel: TestKernel;
    let plugin: EchoPlugin;
    let web: Server;
    let url: string;

    const granted = (): Record<string, unknown> => ({
      secrets: ['mine', 'absent'],
      topics: ['mine.*'],
      services: ['lamella.kernel.v1.PluginService'],
      network: [new URL(url).host],
      httpPrefix: '/mine',
    });

    async function start(capabilities?: Record<string, unknown>): Promise<void> {
      const settings = { isolation, secrets: { mine: 'MINE', foreign: 'FOREIGN' } };
      kernel = await startTestKernel({
        plugins: [plugin.directory],
        config: {
          plugins: { [ID]: { ...settings, ...(capabilities === undefined ? {} : { capabilities }) } },
        },
        environment: { ...process.env, MINE: 'a', FOREIGN: 'b', KERNEL_ONLY: 'c', CUDA_VISIBLE_DEVICES: '0' },
      });
    }

    before(async () => {
      web = createServer((_request, response) => response.end('hello'));
      await new Promise<void>((resolve) => {
        web.listen(0, '127.0.0.1', resolve);
      });
      url = `http://127.0.0.1:${(web.address() as AddressInfo).port}/`;
    });

    after(async () => {
      web.closeAllConnections();
      await new Promise((resolve) => web.close(resolve));
    });

    afterEach(async () => {
      await kernel.stop();
      await plugin.remove();
    });

    it('is denied each of them, told how to grant it, and written into the audit', async () => {
      plugin = await reachingPlugin({});
      await start();
      const answers = kernel
        .call(EventService)
        .subscribe({ topics: ['kernel.audit'] })
        [Symbol.asyncIterator]();
      await answers.next();
      const host = new URL(url).host;
      const tries: [command: string, capability: string, target: string][] = [
        ['secret foreign', 'secrets', 'foreign'],
        ['publish others.topic', 'topics', 'others.topic'],
        ['subscribe kernel.audit', 'topics', 'kernel.audit'],
        ['call', 'services', 'lamella.kernel.v1.PluginService'],
        [`fetch ${url}`, 'network', host],
      ];
      for (const [command, capability, target] of tries) {
        const { reason, message = '' } = await attempt(kernel, command);
        assert.equal(reason, 'CAPABILITY_DENIED', `${command}: ${message}`);
        assert.ok(message.includes(`(capability ${capability})`), message);
        const line = `"plugins":{"${ID}":{"capabilities":{"${capability}":["${target}"]}}}`;
        assert.ok(message.includes(line), message);
        const { value } = (await answers.next()) as { value: SubscribeResponse };
        const audit = toJson(ValueSchema, value.event?.payload ?? assert.fail()) as Record<string, string>;
        assert.deepEqual(
          [audit['action'], audit['principal'], audit['operation']],
          ['denied', `plugin:${ID}`, `${capability} ${target}`],
        );
      }
      assert.equal((await attempt(kernel, 'mount')).reason, 'CAPABILITY_DENIED');
      const { uses } = await kernel.call(PluginService).getCapabilities({ id: ID });
      const seen = uses
        .filter(({ denied }) => denied === 1n)
        .map(({ capability, target }) => `${capability} ${target}`);
      for (const [, capability, target] of tries)
        assert.ok(seen.includes(`${capability} ${target}`), seen.join());
    });

    it('gets what its manifest asks for', async () => {
      plugin = await reachingPlugin({ capabilities: granted() });
      await start();
      assert.deepEqual(await attempt(kernel, 'secret mine'), { value: 'a' });
      assert.equal((await attempt(kernel, 'secret absent')).reason, 'SECRET_MISSING');
      assert.deepEqual(await attempt(kernel, 'subscribe mine.topic'), { value: { n: 1 } });
      assert.deepEqual(await attempt(kernel, 'call'), { value: 1 });
      assert.deepEqual(await attempt(kernel, `fetch ${url}`), { value: 200 });
      assert.deepEqual(await attempt(kernel, 'mount'), {});
      assert.equal((await attempt(kernel, 'subscribe mine*')).reason, 'CAPABILITY_DENIED');
    });

    it('has no more than the operator leaves it, and all that he adds', async () => {
      plugin = await reachingPlugin({ capabilities: granted() });
      await start({ secrets: ['foreign'], topics: [], services: ['*'], network: [], httpPrefix: '' });
      assert.equal((await attempt(kernel, 'secret mine')).reason, 'CAPABILITY_DENIED');
      assert.deepEqual(await attempt(kernel, 'secret foreign'), { value: 'b' });
      assert.equal((await attempt(kernel, 'publish mine.topic')).reason, 'CAPABILITY_DENIED');
      assert.deepEqual(await attempt(kernel, 'call'), { value: 1 });
      assert.equal((await attempt(kernel, `fetch ${url}`)).reason, 'CAPABILITY_DENIED');
      assert.equal((await attempt(kernel, 'mount')).reason, 'CAPABILITY_DENIED');
      const answer = await fetch(`http://${kernel.addresses.http}/mine`);
      assert.equal(answer.status, 404);
    });

    if (isolation === 'INLINE') return;
    it('sees nothing of the environment of the kernel, and no graphics processor', async () => {
      plugin = await reachingPlugin({});
      await start();
      const { value } = (await attempt(kernel, 'environment')) as { value: Record<string, string> };
      assert.deepEqual(
        [value['KERNEL_ONLY'], value['FOREIGN'], value['CUDA_VISIBLE_DEVICES']],
        [undefined, undefined, '-1'],
      );
      const allowed =
        /^(LAMELLA_(PLUGIN|KERNEL)_\w+|PATH|HOME|LANG|LC_ALL|TZ|TMPDIR|LD_LIBRARY_PATH|NODE_\w+|\w+_VISIBLE_DEVICES|PWD|OLDPWD|SHLVL|_)$/;
      assert.deepEqual(
        Object.keys(value).filter((name) => !allowed.test(name)),
        [],
      );
    });

    it('sees graphics processors once they are granted', async () => {
      plugin = await reachingPlugin({ capabilities: { gpu: true } });
      await start();
      const { value } = (await attempt(kernel, 'environment')) as { value: Record<string, string> };
      assert.equal(value['CUDA_VISIBLE_DEVICES'], '0');
    });
  });
}

describe('lamella plugin capabilities', function () {
  this.timeout(30_000);

  it('shows what a plugin asks for, has and used, as a table or as JSON', async () => {
    const plugin = await reachingPlugin({ capabilities: { topics: ['mine.*'], httpPrefix: '/mine' } });
    const config = { plugins: { [ID]: { capabilities: { topics: ['other.*'] } } } };
    const kernel = await startTestKernel({ plugins: [plugin.directory], config });
    await attempt(kernel, 'publish mine.topic');
    await attempt(kernel, 'publish other.topic');
    const words = ['plugin', 'capabilities', ID, '--home', kernel.home];
    const table = await runLamella(words);
    assert.match(table.out, /topics +mine\.\* +other\.\*/);
    assert.match(table.out, /topics +mine\.topic +0 +1 +20/);
    const json = JSON.parse((await runLamella([...words, '--json'])).out) as {
      rights: { capability: string; asked: string[]; granted: string[]; heldBy: string }[];
      uses: { target: string; used: number; denied: number }[];
    };
    assert.deepEqual(
      json.rights.find(({ capability }) => capability === 'topics'),
      {
        capability: 'topics',
        asked: ['mine.*'],
        granted: ['other.*'],
        heldBy: 'the host object; no boundary',
      },
    );
    assert.deepEqual(
      json.uses.map(({ target, used, denied }) => [target, used, denied]),
      [
        ['mine.topic', 0, 1],
        ['other.topic', 1, 0],
      ],
    );
    await kernel.stop();
    await plugin.remove();
  });
});
