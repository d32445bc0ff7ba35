import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ServerCredentials } from '@grpc/grpc-js';
import { create } from '@bufbuild/protobuf';
import { ManifestSchema } from '../../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { EchoService } from '../../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { CapabilityGuard } from '../../../kernel/capabilities/guard.ts';
import { ServerConnections } from '../../../kernel/capabilities/guarded-connect.ts';
import { Propagation } from '../../../kernel/propagation.ts';
import type { ServerConnection, ServerTarget } from '../../../sdk/index.ts';
import { Authority } from '../../support/authority.ts';
import { bareEcho, type BareEcho, freePort, saying, unavailable } from '../../support/bare-echo.ts';

describe('a connection that a plugin makes', () => {
  const connections: ServerConnections[] = [];
  const servers: BareEcho[] = [];

  afterEach(async () => {
    for (const each of connections.splice(0)) await each.close();
    for (const { server } of servers.splice(0)) server.forceShutdown();
  });

  function connect(network: string[], target: ServerTarget, files: string[] = []): ServerConnection {
    const guard = new CapabilityGuard();
    const capabilities = { network, files: files.map((file) => ({ path: file })) };
    const manifest = guard.admit(create(ManifestSchema, { id: 'test.connect', capabilities }));
    const made = new ServerConnections({
      manifest,
      propagation: new Propagation(),
      guard: {
        require: (capability, wanted) => guard.require('test.connect', capability, wanted),
        deny: (capability, wanted) => guard.deny('test.connect', capability, wanted),
      },
    });
    connections.push(made);
    return made.connect(target);
  }

  async function echo(...args: Parameters<typeof bareEcho>): Promise<BareEcho> {
    const server = await bareEcho(...args);
    servers.push(server);
    return server;
  }

  const reasonOf = async (work: () => unknown): Promise<unknown> => {
    try {
      await work();
    } catch (error) {
      return (error as { reason?: string }).reason;
    }
    return 'none';
  };

  it('reaches a server that was granted, and again after that was gone', async () => {
    const first = await echo(saying('1'));
    const { address, port } = first;
    const client = connect([address], { address }).call(EchoService);
    assert.equal((await client.say({})).version, '1');
    first.server.forceShutdown();
    assert.match(String(await reasonOf(() => client.say({}))), /^LINK_/);
    await echo(saying('2'), { port });
    assert.equal((await client.say({})).version, '2');
  });

  it('tells the status of a server that gives no reason', async () => {
    const { address } = await echo(unavailable());
    const client = connect([address], { address }).call(EchoService);
    await assert.rejects(client.say({}), { code: 14, message: 'overloaded' });
  });

  it('is refused without a grant, to another port, and by a name that leads to this machine', async () => {
    const port = await freePort();
    const address = `127.0.0.1:${port}`;
    assert.equal(await reasonOf(() => connect([], { address })), 'CAPABILITY_DENIED');
    assert.equal(await reasonOf(() => connect(['127.0.0.1:9'], { address })), 'CAPABILITY_DENIED');
    // Every host of the internet does not take in this machine.
    const everywhere = connect(['*'], { address }).call(EchoService);
    assert.equal(await reasonOf(() => everywhere.say({})), 'CAPABILITY_DENIED');
  });

  it('is refused beyond this machine without TLS, and to what is no address', async () => {
    for (const address of ['10.0.0.1:80', 'nowhere', 'http://a:80', 'a:0', 'a:99999']) {
      const reason = await reasonOf(() => connect(['*'], { address }));
      assert.equal(reason, 'SERVER_TARGET_INVALID', address);
    }
  });

  it('may not read certificates that it was not granted', async () => {
    const target = { address: '127.0.0.1:9', tls: { caFile: '/etc/ca.pem' } };
    assert.equal(await reasonOf(() => connect(['127.0.0.1:9'], target)), 'CAPABILITY_DENIED');
  });

  it('knows a server under TLS by its certificate, and by no other name', async function () {
    this.timeout(30_000);
    const folder = await mkdtemp(path.join(tmpdir(), 'lamella-connect-'));
    try {
      const authority = new Authority(folder);
      await authority.makeAuthority('authority');
      await authority.issue('server', 'authority', 'DNS:serving.example,IP:127.0.0.1');
      const read = (name: string): Promise<Buffer> => readFile(authority.file(name));
      const pair = { private_key: await read('server.key'), cert_chain: await read('server.pem') };
      const credentials = ServerCredentials.createSsl(null, [pair]);
      const { address } = await echo(saying('1'), { credentials });
      const say = (serverName?: string): Promise<unknown> => {
        const tls = { caFile: authority.file('authority.pem'), serverName };
        return connect([address], { address, tls }, [folder]).call(EchoService).say({});
      };
      await say();
      await say('serving.example');
      assert.match(String(await reasonOf(() => say('other.example'))), /^LINK_/);
      const plain = connect([address], { address }).call(EchoService);
      assert.match(String(await reasonOf(() => plain.say({}))), /^LINK_/);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('ends with its plugin', async () => {
    const { address } = await echo(saying('1'));
    const client = connect([address], { address }).call(EchoService);
    await client.say({});
    await connections[0]?.close();
    assert.match(String(await reasonOf(() => client.say({}))), /^LINK_/);
  });
});
