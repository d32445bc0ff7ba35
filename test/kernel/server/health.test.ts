import assert from 'node:assert/strict';
import { createHealthService, HealthRegistry, LIVENESS_SERVICE } from '../../../kernel/server/health.ts';
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from '../../../proto/gen/grpc/health/v1/health_pb.ts';
import type { Client } from '../../../sdk/index.ts';
import { clientOf } from '../../support/fake-host.ts';

describe('health', () => {
  let registry: HealthRegistry;
  let client: Client<typeof Health>;

  beforeEach(() => {
    registry = new HealthRegistry();
    client = clientOf(Health, createHealthService(registry).implementation);
  });

  it('tells the status of the server and of each service', async () => {
    registry.set('', 'SERVING');
    registry.set('a.B', 'NOT_SERVING');
    assert.equal((await client.check({ service: '' })).status, Status.SERVING);
    assert.equal((await client.check({ service: 'a.B' })).status, Status.NOT_SERVING);
    assert.deepEqual(Object.keys((await client.list({})).statuses), ['', 'a.B']);
  });

  it('answers NOT_FOUND for a service nobody registered or that was removed', async () => {
    registry.set('a.B', 'SERVING');
    registry.remove('a.B');
    await assert.rejects(client.check({ service: 'a.B' }), { reason: 'HEALTH_SERVICE_UNKNOWN' });
  });

  it('is NOT_SERVING from the shutdown on, whatever is set', async () => {
    registry.set('a.B', 'SERVING');
    registry.shutdown();
    registry.set('a.B', 'SERVING');
    assert.equal((await client.check({ service: 'a.B' })).status, Status.NOT_SERVING);
  });

  it('tells that the process is live also after the shutdown', async () => {
    registry.set(LIVENESS_SERVICE, 'SERVING');
    registry.shutdown();
    assert.equal((await client.check({ service: LIVENESS_SERVICE })).status, Status.SERVING);
  });

  it('tells watchers the last status and ends them when it is closed', async () => {
    registry.set('a.B', 'SERVING');
    const watch = client.watch({ service: 'a.B' })[Symbol.asyncIterator]();
    assert.equal((await watch.next()).value?.status, Status.SERVING);
    const last = watch.next();
    registry.shutdown();
    registry.close();
    assert.equal((await last).value?.status, Status.NOT_SERVING);
    await assert.rejects(watch.next(), { reason: 'HEALTH_WATCH_ENDED', retryAfterMs: 1_000 });
  });

  it('streams each change to whoever watches, also of a service not known yet, until they leave', async () => {
    const abort = new AbortController();
    const seen: Status[] = [];
    const steps = [
      (): void => registry.set('a.B', 'SERVING'),
      (): void => registry.set('other', 'SERVING'),
      (): void => registry.set('a.B', 'SERVING'),
      (): void => registry.set('a.B', 'NOT_SERVING'),
      (): void => registry.remove('a.B'),
    ];
    for await (const { status } of client.watch({ service: 'a.B' }, { signal: abort.signal })) {
      seen.push(status);
      if (seen.length === 4) abort.abort();
      // Steps that change nothing for the watcher are followed by the next one at once.
      setImmediate(() => {
        for (const step of steps.splice(0, seen.length === 2 ? 3 : 1)) step();
      });
    }
    assert.deepEqual(seen, [
      Status.SERVICE_UNKNOWN,
      Status.SERVING,
      Status.NOT_SERVING,
      Status.SERVICE_UNKNOWN,
    ]);
  });

  it('ends a watch that waits when its caller leaves', async () => {
    const abort = new AbortController();
    const watch = client.watch({ service: '' }, { signal: abort.signal })[Symbol.asyncIterator]();
    await watch.next();
    const waiting = watch.next();
    setImmediate(() => abort.abort());
    assert.equal((await waiting).done, true);
  });
});
