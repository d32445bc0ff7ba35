import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { startTestKernel, type TestKernel } from '../../sdk/testing/index.ts';
import { copyEcho, type EchoPlugin } from '../support/echo-plugin.ts';

interface Counts {
  readonly sent: number;
  readonly left: number;
  readonly aborted: number;
  readonly taken: number;
}

/** Asks until the answer is right; the plugin may hear of its client a moment later. */
async function eventually(ask: () => Promise<boolean>): Promise<void> {
  for (const endMs = Date.now() + 5_000; Date.now() < endMs;) if (await ask()) return;
  assert.fail('it did not come true within 5 s');
}

for (const isolation of ['INLINE', 'WORKER', 'PROCESS'] as const) {
  describe(`HTTP of a plugin at isolation ${isolation}`, function () {
    this.timeout(30_000);
    let kernel: TestKernel;
    let plugin: EchoPlugin;

    before(async () => {
      plugin = await copyEcho();
      await plugin.useHttpPlugin();
      const config = { maxHttpBodyBytes: 1 << 30, plugins: { 'example.echo': { isolation } } };
      kernel = await startTestKernel({ plugins: [plugin.directory], config });
    });
    after(async () => {
      await kernel.stop();
      await plugin.remove();
    });

    const urlOf = (path: string): string => `http://${kernel.addresses.http}${path}`;
    const counts = async (): Promise<Counts> => (await fetch(urlOf('/t/counts'))).json() as Promise<Counts>;

    it('takes method, URL, headers, peer and body, and answers with all of its own', async () => {
      const answer = await fetch(urlOf('/t/echo?q=a%20b'), {
        method: 'PUT',
        body: 'some text',
        headers: { 'x-text': 'sent' },
      });
      assert.equal(answer.status, 201);
      assert.equal(await answer.text(), 'some text');
      assert.equal(answer.headers.get('x-method'), 'PUT');
      assert.equal(answer.headers.get('x-url'), urlOf('/t/echo?q=a%20b'));
      assert.equal(answer.headers.get('x-sent'), 'sent');
      assert.match(answer.headers.get('x-peer') ?? '', /^127\.0\.0\.1:\d+$/);
    });

    it('answers without a body, with cookies line by line', async () => {
      const answer = await fetch(urlOf('/t/cookies'));
      assert.equal(answer.status, 204);
      assert.deepEqual(answer.headers.getSetCookie(), ['a=1', 'b=2']);
      assert.equal((await fetch(urlOf('/t/other'))).status, 404);
      const head = await fetch(urlOf('/t/events'), { method: 'HEAD' });
      assert.equal(head.headers.get('content-type'), 'text/event-stream');
    });

    it('streams 32 MiB in and out', async () => {
      const sent = Buffer.alloc(32 << 20, 'lamella ');
      const answer = await fetch(urlOf('/t/through'), { method: 'POST', body: sent });
      assert.ok(sent.equals(Buffer.from(await answer.arrayBuffer())));
    });

    it('sends events as they are made, and ends when the client leaves', async () => {
      const before = await counts();
      const controller = new AbortController();
      const answer = await fetch(urlOf('/t/events'), { signal: controller.signal });
      const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
      const { value } = await reader.read();
      assert.equal(Buffer.from(value ?? []).toString(), 'data: first\n\n');
      controller.abort();
      await eventually(async () => {
        const now = await counts();
        return now.left === before.left + 1 && now.aborted === before.aborted + 1;
      });
    });

    it('holds the plugin back when the client does not read', async () => {
      const before = await counts();
      const controller = new AbortController();
      const answer = await fetch(urlOf('/t/endless'), { signal: controller.signal });
      const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
      await reader.read();
      let sent = -1;
      // Until nothing more is made.
      await eventually(async () => {
        const last = sent;
        for (let asked = 0; asked < 20; asked += 1) sent = (await counts()).sent;
        return sent === last;
      });
      controller.abort();
      const ahead = sent - before.sent;
      assert.ok(ahead < 800, `${ahead} chunks of 64 KiB were made for a client that took one`);
    });

    it('holds the client back when the plugin does not read', async () => {
      const before = await counts();
      const { hostname, port } = new URL(urlOf('/'));
      const client = httpRequest({ hostname, port, path: '/t/slow-reader', method: 'POST' });
      client.on('error', () => undefined);
      const chunk = Buffer.alloc(64 * 1024);
      let written = 0;
      while (written < 2_000 && client.write(chunk)) written += 1;
      client.on('drain', () => {
        while (written < 2_000 && client.write(chunk)) written += 1;
      });
      await eventually(async () => (await counts()).taken === before.taken + 1);
      let last = -1;
      await eventually(async () => {
        const isSettled = last === written;
        last = written;
        for (let asked = 0; asked < 20; asked += 1) await counts();
        return isSettled;
      });
      assert.ok(written < 1_000, `${written} chunks of 64 KiB were taken for a plugin that read one`);
      client.destroy();
    });

    it('may answer before it has read the body', async () => {
      const answer = await fetch(urlOf('/t/early'), { method: 'POST', body: Buffer.alloc(8 << 20) });
      assert.equal(answer.status, 413);
      assert.equal(await answer.text(), 'no need to send it all');
      assert.equal((await fetch(urlOf('/t/counts'))).status, 200);
    });

    it('gives a declared error its status and reason, and hides any other', async () => {
      const refused = await fetch(urlOf('/t/refuse'));
      const { error } = (await refused.json()) as { error: { reason: string } };
      assert.deepEqual(
        [refused.status, error.reason, refused.headers.get('retry-after')],
        [409, 'HTTP_TEST_REFUSED', '2'],
      );
      for (const path of ['/t/break', '/t/nothing']) {
        const broken = await fetch(urlOf(path));
        assert.equal(broken.status, 500);
        assert.doesNotMatch(await broken.text(), /secret|TypeError/);
      }
    });

    it('finishes an open answer on the old version when the plugin is replaced', async () => {
      const answer = await fetch(urlOf('/t/endless'));
      const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
      await reader.read();
      await plugin.setVersion('0.2.0');
      await kernel.reload('example.echo');
      assert.equal((await counts()).sent, 0);
      for (let taken = 0; taken < 1_000; taken += 1) assert.equal((await reader.read()).done, false);
      await reader.cancel();
    });
  });
}
