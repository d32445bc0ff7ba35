import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent } from 'node:http';
import { HttpProbe, echo, resolvers } from '../../support/http-probe.ts';

describe('http listener over its life', () => {
  const probe = new HttpProbe();

  afterEach(() => probe.close());

  describe('mounts', () => {
    it('answer for the longest prefix that ends at a path segment', async () => {
      await probe.start(() => new Response('t'));
      probe.listener.mount('/', () => new Response('root'), 'app.console');
      probe.listener.mount('/t/deep', () => new Response('deep'), 'other');
      const paths = ['/', '/x', '/tx', '/t', '/t/', '/t/x', '/t/deepx', '/t/deep', '/t/deep/x'];
      const answers = await Promise.all(paths.map((path) => probe.send(path)));
      assert.deepEqual(
        answers.map(({ text }) => text),
        ['root', 'root', 'root', 't', 't', 't', 't', 'deep', 'deep'],
      );
    });

    it('refuse a prefix of another plugin and one that is none', async () => {
      await probe.start(echo);
      assert.throws(() => probe.listener.mount('/t', echo, 'other'), { reason: 'HTTP_PREFIX_TAKEN' });
      for (const prefix of ['', 't', '/t/', '//', '/a b', '/%2e', `/${'a'.repeat(300)}`]) {
        assert.throws(
          () => probe.listener.mount(prefix, echo, 'x'),
          { reason: 'HTTP_PREFIX_INVALID' },
          prefix,
        );
      }
    });

    it('swap to a new version while the old one finishes what it has', async () => {
      await probe.start(echo);
      const inside = resolvers<void>();
      const gate = resolvers<void>();
      const old = probe.listener.mount(
        '/s',
        async () => {
          inside.resolve();
          await gate.promise;
          return new Response('old');
        },
        'p',
      );
      const running = probe.send('/s');
      await inside.promise;
      const fresh = probe.listener.mount('/s', () => new Response('new'), 'p');
      const closed = old.close(10_000);
      assert.equal((await probe.send('/s')).text, 'new');
      gate.resolve();
      await closed;
      assert.equal((await running).text, 'old');
      await fresh.close();
      assert.equal((await probe.send('/s')).status, 404);
    });

    it('abort what is still running after the grace time', async () => {
      await probe.start(echo);
      const inside = resolvers<void>();
      const mount = probe.listener.mount(
        '/s',
        (_request, { signal }) => {
          inside.resolve();
          return new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason as Error));
          });
        },
        'p',
      );
      const running = probe.send('/s');
      await inside.promise;
      await mount.close(10);
      assert.equal((await running).status, 500);
    });
  });

  describe('closing', () => {
    it('lets running requests end and closes idle connections at once', async () => {
      const inside = resolvers<void>();
      const gate = resolvers<void>();
      await probe.start(async () => {
        inside.resolve();
        await gate.promise;
        return new Response('done');
      });
      const idle = await probe.open();
      const agent = new Agent({ keepAlive: true });
      probe.opened.push({ close: () => agent.destroy() });
      const running = probe.send('/t', { agent });
      await inside.promise;
      const closed = probe.listener.close(60_000);
      await once(idle, 'close');
      gate.resolve();
      const answer = await running;
      assert.deepEqual([answer.text, answer.headers.connection], ['done', 'close']);
      await closed;
    });

    it('ends what runs longer than the grace time', async () => {
      const inside = resolvers<void>();
      await probe.start(() => {
        inside.resolve();
        return new Promise(() => undefined);
      });
      const running = probe.send('/t');
      const failed = assert.rejects(running, { code: 'ECONNRESET' });
      await inside.promise;
      await probe.listener.close(10);
      await failed;
    });
  });
});
