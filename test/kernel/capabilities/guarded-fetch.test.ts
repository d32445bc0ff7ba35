import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { create } from '@bufbuild/protobuf';
import { ManifestSchema } from '../../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { addressKind } from '../../../kernel/capabilities/addresses.ts';
import { CapabilityGuard } from '../../../kernel/capabilities/guard.ts';
import { createFetch, type Resolve } from '../../../kernel/capabilities/guarded-fetch.ts';

function denied(target: string | RegExp): (error: unknown) => boolean {
  return (error) => {
    const { reason, metadata } = error as { reason?: string; metadata?: { target: string } };
    assert.equal(reason, 'CAPABILITY_DENIED', String((error as Error).stack));
    if (typeof target === 'string') assert.equal(metadata?.target, target);
    else assert.match(metadata?.target ?? '', target);
    return true;
  };
}

describe('the guarded fetch', () => {
  let server: Server;
  let port: number;
  const open: (() => Promise<void>)[] = [];

  before(async () => {
    server = createServer((request, response) => {
      const to = new URL(request.url ?? '/', 'http://x').searchParams.get('to');
      if (to !== null) response.writeHead(302, { location: to }).end();
      else if (request.url === '/slow') response.flushHeaders();
      else response.end(`hello ${request.headers.host ?? ''}`);
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    ({ port } = server.address() as AddressInfo);
  });

  after(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  afterEach(async () => {
    for (const close of open.splice(0)) await close();
  });

  function fetchWith(
    network: string[],
    resolve?: Resolve,
    signal: AbortSignal = new AbortController().signal,
  ): (url: string) => Promise<Response> {
    const guard = new CapabilityGuard();
    const manifest = guard.admit(create(ManifestSchema, { id: 'test.fetch', capabilities: { network } }));
    const made = createFetch({
      manifest,
      signal,
      guard: {
        require: (capability, target) => guard.require('test.fetch', capability, target),
        deny: (capability, target) => guard.deny('test.fetch', capability, target),
      },
      ...(resolve === undefined ? {} : { resolve }),
    });
    open.push(made.close);
    return (url) => made.fetch(url);
  }

  const to =
    (...addresses: string[]): Resolve =>
    (_host, done) =>
      done(
        null,
        addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      );

  it('reaches what was granted by its address', async () => {
    const answer = await fetchWith([`127.0.0.1:${port}`])(`http://127.0.0.1:${port}/`);
    assert.equal(await answer.text(), `hello 127.0.0.1:${port}`);
  });

  it('refuses everything without a grant, and other ports and hosts with one', async () => {
    await assert.rejects(fetchWith([])(`http://127.0.0.1:${port}/`), denied(`127.0.0.1:${port}`));
    await assert.rejects(fetchWith(['127.0.0.1'])(`http://127.0.0.1:${port}/`), denied(`127.0.0.1:${port}`));
    await assert.rejects(
      fetchWith(['example.com'])('https://example.com.evil.test/'),
      denied('example.com.evil.test:443'),
    );
    await assert.rejects(
      fetchWith(['example.com'])('https://example.com@evil.test/'),
      denied('evil.test:443'),
    );
  });

  for (const url of [
    'http://127.0.0.1/',
    'http://0x7f.1/',
    'http://2130706433/',
    'http://0/',
    'http://[::1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[64:ff9b::7f00:1]/',
    'http://169.254.169.254/latest/meta-data/',
    'http://10.0.0.1/',
    'http://192.168.1.1/',
    'http://[fd00::1]/',
    'http://[fe80::1]/',
  ]) {
    it(`takes ${url} for no public host`, async () => {
      await assert.rejects(fetchWith(['*'])(url), denied(/:80$/));
    });
  }

  it('refuses a name that leads to this machine, to a metadata address, or to both good and bad ones', async () => {
    const address = `http://name.test:${port}/`;
    for (const addresses of [['127.0.0.1'], ['169.254.169.254'], ['::1'], ['93.184.216.34', '127.0.0.1']]) {
      await assert.rejects(
        fetchWith([`name.test:${port}`], to(...addresses))(address),
        denied(new RegExp(`:${port}$`)),
      );
      await assert.rejects(fetchWith(['*'], to(...addresses))(address), denied(new RegExp(`:${port}$`)));
    }
    await assert.rejects(fetchWith(['*'], to('10.1.2.3'))(address), denied(`10.1.2.3:${port}`));
  });

  it('connects to the address that it checked, whatever the name means later', async () => {
    let asked = 0;
    const changing: Resolve = (host, done) => {
      asked += 1;
      to(asked === 1 ? '127.0.0.1' : '10.255.255.1')(host, done);
    };
    const get = fetchWith([`name.test:${port}`, `127.0.0.1:${port}`], changing);
    assert.equal(await (await get(`http://name.test:${port}/`)).text(), `hello name.test:${port}`);
    assert.equal(asked, 1);
  });

  it('checks each hop of a redirect', async () => {
    const get = fetchWith([`127.0.0.1:${port}`]);
    const inside = await get(`http://127.0.0.1:${port}/?to=${encodeURIComponent('/again')}`);
    assert.equal(inside.status, 200);
    const elsewhere = encodeURIComponent('http://169.254.169.254/latest/meta-data/');
    await assert.rejects(get(`http://127.0.0.1:${port}/?to=${elsewhere}`), denied('169.254.169.254:80'));
    await assert.rejects(get(`http://127.0.0.1:${port}/?to=${encodeURIComponent('file:///etc/passwd')}`));
  });

  it('refuses other schemes', async () => {
    for (const url of ['file:///etc/passwd', 'ftp://example.com/', 'data:text/plain,x', 'gopher://x/']) {
      await assert.rejects(fetchWith(['*'])(url));
    }
  });

  it('ends with the instance', async () => {
    const controller = new AbortController();
    const answer = await fetchWith(
      [`127.0.0.1:${port}`],
      undefined,
      controller.signal,
    )(`http://127.0.0.1:${port}/slow`);
    controller.abort();
    await assert.rejects(answer.text());
  });

  it('knows public addresses', () => {
    assert.deepEqual(
      [
        '93.184.216.34',
        '2606:4700::1',
        '10.0.0.1',
        'fd12::1',
        '127.0.0.2',
        '::ffff:10.0.0.1',
        '224.0.0.1',
      ].map(addressKind),
      ['public', 'public', 'private', 'private', 'special', 'private', 'special'],
    );
  });
});
