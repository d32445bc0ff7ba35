import assert from 'node:assert/strict';
import { create } from '@bufbuild/protobuf';
import { ManifestSchema } from '../../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { EchoService } from '../../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { CapabilityGuard } from '../../../kernel/capabilities/guard.ts';
import { ServerConnections } from '../../../kernel/capabilities/guarded-connect.ts';
import { Propagation } from '../../../kernel/propagation.ts';
import type { ServerConnection, ServerTarget } from '../../../sdk/index.ts';
import { bareEcho, type BareEcho, freePort, saying, unavailable } from '../../support/bare-echo.ts';

describe('a connection that a plugin makes', () => {
  const connections: ServerConnections[] = [];
  const servers: BareEcho[] = [];

  afterEach(async () => {
    for (const each of connections.splice(0)) await each.close();
    for (const { server } of servers.splice(0)) server.forceShutdown();
  });

  function connect(network: string[], target: ServerTarget): ServerConnection {
    const guard = new CapabilityGuard();
    const manifest = guard.admit(create(ManifestSchema, { id: 'test.connect', capabilities: { network } }));
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

  it('ends with its plugin', async () => {
    const { address } = await echo(saying('1'));
    const client = connect([address], { address }).call(EchoService);
    await client.say({});
    await connections[0]?.close();
    assert.match(String(await reasonOf(() => client.say({}))), /^LINK_/);
  });
});
