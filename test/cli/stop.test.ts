import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { EchoService } from '../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from '../../proto/gen/grpc/health/v1/health_pb.ts';
import { GrpcClient } from '../support/grpc-client.ts';
import { Lamella, ROOT } from './lamella-process.ts';

const { check, watch } = Health.method;
const { say } = EchoService.method;

interface Addresses {
  readonly grpc: string;
  readonly metrics: string;
}

describe('a kernel that is told to stop', function () {
  this.timeout(60_000);
  let home = '';
  let kernel: Lamella;
  const clients: GrpcClient[] = [];

  beforeEach(async () => {
    home = await mkdtemp(path.join(tmpdir(), 'lamella-stop-'));
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    kernel.process.kill('SIGKILL');
    await kernel.ended;
    await rm(home, { recursive: true, force: true });
  });

  async function start(config: Readonly<Record<string, unknown>>): Promise<Addresses> {
    await mkdir(home, { recursive: true });
    await writeFile(path.join(home, 'config.json'), JSON.stringify(config));
    const file = path.join(home, 'ready.json');
    const ports = ['--grpc-port', '0', '--http-port', '0', '--metrics-port', '0'];
    const echo = path.join(ROOT, 'examples', 'echo');
    kernel = new Lamella(['start', '--home', home, ...ports, '--plugins', echo, '--ready-file', file]);
    await kernel.printed('ready:');
    return JSON.parse(await readFile(file, 'utf8')) as Addresses;
  }

  function clientOf({ grpc: address }: Addresses): GrpcClient {
    const client = new GrpcClient(address);
    clients.push(client);
    return client;
  }

  it('says NOT_SERVING, serves old and new callers until the pre-stop delay is over, and is live', async () => {
    const addresses = await start({ prestopMs: 3_600_000 });
    const client = clientOf(addresses);
    const seen = client.stream(watch, { service: '' });
    assert.equal((await seen.next()).value?.status, Status.SERVING);
    kernel.process.kill('SIGTERM');
    assert.equal((await seen.next()).value?.status, Status.NOT_SERVING);

    const payload = Buffer.from('late');
    for (const each of [client, clientOf(addresses)]) {
      assert.deepEqual(Buffer.from((await each.unary(say, { payload })).answer.payload), payload);
      const service = await each.unary(check, { service: 'echo.v1.EchoService' });
      assert.equal(service.answer.status, Status.NOT_SERVING);
      const live = await each.unary(check, { service: 'kernel.live' });
      assert.equal(live.answer.status, Status.SERVING);
    }
    const ready = await fetch(`http://${addresses.metrics}/healthz/ready`);
    assert.equal(ready.status, 503);
    assert.deepEqual(await ready.json(), { status: 'NOT_SERVING', reasons: ['the kernel is draining'] });
    assert.equal((await fetch(`http://${addresses.metrics}/healthz/live`)).status, 200);

    kernel.process.kill('SIGTERM');
    assert.equal((await kernel.ended).code, 143, 'a second signal waits for nothing');
  });

  it('ends watches of its health after the last status, lets calls finish, and exits with 0', async () => {
    const client = clientOf(await start({ prestopMs: 1, drainMs: 3_600_000 }));
    const seen = client.stream(watch, { service: '' });
    assert.equal((await seen.next()).value?.status, Status.SERVING);
    const running = client.unary(say, { payload: Buffer.from('slow'), delayMs: 1_000 });
    // Answered, so the slow call before it has arrived.
    await client.unary(say, {});
    kernel.process.kill('SIGTERM');
    assert.equal((await seen.next()).value?.status, Status.NOT_SERVING);
    await assert.rejects(seen.next(), (error: grpc.ServiceError) => {
      assert.equal(error.code, grpc.status.UNAVAILABLE);
      assert.deepEqual(error.metadata.get('grpc-retry-pushback-ms'), ['1000']);
      return true;
    });
    assert.equal(Buffer.from((await running).answer.payload).toString(), 'slow');
    assert.equal((await kernel.ended).code, 0);
  });
});
