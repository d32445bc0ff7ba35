import assert from 'node:assert/strict';
import * as grpc from '@grpc/grpc-js';
import { EchoService } from '../../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { startTestKernel, type TestKernel } from '../../../sdk/testing/index.ts';
import { copyEcho, type EchoPlugin } from '../../support/echo-plugin.ts';
import { GrpcClient } from '../../support/grpc-client.ts';

const FRIEND = 'spiffe://example.org/ns/prod/sa/shop';
const STRANGER = 'spiffe://example.com/ns/prod/sa/shop';

type Headers = Readonly<Record<string, string>>;

const ENVOY: Headers = { 'x-forwarded-client-cert': `By=spiffe://example.org/me;Hash=ab;URI=${FRIEND}` };
const LINKERD: Headers = { 'l5d-client-id': FRIEND };

/** What somebody sends who wants to be taken for a friend, with what his own sidecar adds about him. */
const SPOOFS: Readonly<Record<string, Headers>> = {
  'names a friend before himself': { 'x-forwarded-client-cert': `URI=${FRIEND},URI=${STRANGER}` },
  'names two at once': { 'x-forwarded-client-cert': `URI=${STRANGER};URI=${FRIEND}` },
  'hides a friend in a quoted subject': {
    'x-forwarded-client-cert': `Subject="CN=x;URI=${FRIEND}";URI=${STRANGER}`,
  },
  'leaves the text of a quote open': { 'x-forwarded-client-cert': `URI=${STRANGER};Subject="URI=${FRIEND}` },
  'climbs out of his own id': { 'x-forwarded-client-cert': `URI=${STRANGER}/../../../example.org/ns/prod` },
  'names a friend in the other header': {
    'x-forwarded-client-cert': `URI=${STRANGER}`,
    'l5d-client-id': FRIEND,
  },
};

describe('identities that a sidecar forwards', function () {
  this.timeout(60_000);
  let plugin: EchoPlugin;

  before(async () => {
    plugin = await copyEcho();
  });

  after(() => plugin.remove());

  async function withKernel(sidecar: string, run: (kernel: TestKernel) => Promise<void>): Promise<void> {
    const access = {
      anonymous: 'none',
      peers: { 'spiffe://example.org/ns/prod/*': ['user'] },
      sidecars: [sidecar],
    };
    const kernel = await startTestKernel({ plugins: [plugin.directory], config: { access } });
    try {
      await run(kernel);
    } finally {
      await kernel.stop();
    }
  }

  /** How both listeners answer: the status over gRPC and over HTTP. */
  async function answers({ addresses }: TestKernel, headers: Headers): Promise<[number, number]> {
    const client = new GrpcClient(addresses.grpc);
    const code = await client.unary(EchoService.method.say, {}, { headers: { ...headers } }).then(
      () => grpc.status.OK,
      (error: grpc.ServiceError) => error.code,
    );
    client.close();
    const response = await fetch(`http://${addresses.metrics}/metrics`, { headers });
    return [code, response.status];
  }

  it('are believed when they come from a trusted address, and no trick makes another one of them', async () => {
    await withKernel('127.0.0.1/32', async (kernel) => {
      for (const headers of [ENVOY, LINKERD]) {
        assert.deepEqual(await answers(kernel, headers), [grpc.status.OK, 200]);
      }
      assert.deepEqual(await answers(kernel, {}), [grpc.status.UNAUTHENTICATED, 401]);
      for (const [trick, headers] of Object.entries(SPOOFS)) {
        assert.deepEqual(await answers(kernel, headers), [grpc.status.UNAUTHENTICATED, 401], trick);
      }
    });
  });

  it('are worth nothing from anywhere else, on this machine either', async () => {
    await withKernel('192.0.2.1', async (kernel) => {
      for (const headers of [ENVOY, LINKERD]) {
        assert.deepEqual(await answers(kernel, headers), [grpc.status.UNAUTHENTICATED, 401]);
      }
    });
  });
});
