import assert from 'node:assert/strict';
import { type Resolution, resolveGraph } from '../../../kernel/registry/graph.ts';
import type { Manifest } from '../../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { manifest } from './manifests.ts';

function resolve(added: readonly Manifest[], active: readonly Manifest[] = []): Resolution {
  return resolveGraph(added, active, '0.1.0');
}

const reasons = ({ failures }: Resolution): string[] =>
  failures.map(({ pluginId, reason }) => `${pluginId} ${reason}`);

const serves = (...services: readonly string[]): { provides: { service: string }[] } => ({
  provides: services.map((service) => ({ service })),
});
const needs = (...services: readonly string[]): { requires: { service: string }[] } => ({
  requires: services.map((service) => ({ service })),
});

describe('resolveGraph', () => {
  it('orders plugins behind what they require', () => {
    const { order, failures } = resolve([
      manifest('app.shop', needs('b.B', 'a.A')),
      manifest('model.b', { ...serves('b.B'), ...needs('a.A') }),
      manifest('data.a', serves('a.A')),
    ]);
    assert.deepEqual(failures, []);
    assert.deepEqual(order, ['data.a', 'model.b', 'app.shop']);
  });

  it('takes what runs already into account', () => {
    const active = [manifest('data.a', serves('a.A'))];
    assert.deepEqual(resolve([manifest('data.b', needs('a.A'))], active), {
      order: ['data.b'],
      failures: [],
    });
  });

  it('says what is missing and what to do', () => {
    const { failures, order } = resolve([manifest('data.b', needs('a.A'))]);
    assert.deepEqual(order, []);
    assert.deepEqual(failures, [
      {
        pluginId: 'data.b',
        reason: 'MISSING_SERVICE',
        message: 'it requires a.A, which no plugin provides.',
        repair:
          'Load a plugin that provides it (one that is being unloaded does not count), or mark the requirement optional.',
      },
    ]);
  });

  it('does without what is optional, and starts it first when it is there', () => {
    const wanting = manifest('data.b', { requires: [{ service: 'a.A', optional: true }] });
    assert.deepEqual(resolve([wanting]).order, ['data.b']);
    assert.deepEqual(resolve([wanting, manifest('data.a', serves('a.A'))]).order, ['data.a', 'data.b']);
  });

  it('checks the range of versions of a provider', () => {
    const result = resolve([
      manifest('data.a', { ...serves('a.A'), version: '2.1.0' }),
      manifest('data.b', { requires: [{ service: 'a.A', version: '^1.0.0' }] }),
      manifest('data.c', { requires: [{ service: 'a.A', version: '^2.0.0' }] }),
    ]);
    assert.deepEqual(reasons(result), ['data.b VERSION_MISMATCH']);
    assert.match(result.failures[0]?.message ?? '', /\^1\.0\.0; there is 'data\.a' 2\.1\.0/);
    assert.deepEqual(result.order, ['data.a', 'data.c']);
  });

  it('finds the named implementation of an extension point', () => {
    const lmdb = manifest('data.store', { provides: [{ service: 'a.Driver', extension: 'lmdb' }] });
    const wants = (extension: string): Manifest =>
      manifest('data.user', { requires: [{ service: 'a.Driver', extension }] });
    assert.deepEqual(resolve([lmdb, wants('lmdb')]).order, ['data.store', 'data.user']);
    const missing = resolve([lmdb, wants('mysql')]);
    assert.deepEqual(reasons(missing), ['data.user MISSING_SERVICE']);
    assert.match(missing.failures[0]?.message ?? '', /'mysql' for a\.Driver/);
  });

  it('tells a cycle to each plugin on it, with the way round, and fails those behind it', () => {
    const result = resolve([
      manifest('data.a', { ...serves('a.A'), ...needs('b.B') }),
      manifest('data.b', { ...serves('b.B'), ...needs('c.C') }),
      manifest('data.c', { ...serves('c.C'), ...needs('a.A') }),
      manifest('data.d', { ...serves('d.D'), ...needs('a.A') }),
      manifest('data.e', needs('d.D')),
      manifest('data.f'),
    ]);
    assert.deepEqual(reasons(result), [
      'data.a DEPENDENCY_CYCLE',
      'data.b DEPENDENCY_CYCLE',
      'data.c DEPENDENCY_CYCLE',
      'data.d DEPENDENCY_FAILED',
      'data.e DEPENDENCY_FAILED',
    ]);
    assert.match(result.failures[1]?.message ?? '', /data\.b -> data\.c -> data\.a -> data\.b/);
    assert.match(result.failures[4]?.message ?? '', /'data\.d'/);
    assert.deepEqual(result.order, ['data.f']);
  });

  it('shortens the way round a long cycle', () => {
    const ring = Array.from({ length: 40 }, (_, index) =>
      manifest(`data.p${index}`, { ...serves(`s.S${index}`), ...needs(`s.S${(index + 1) % 40}`) }),
    );
    const message = resolve(ring).failures[0]?.message ?? '';
    assert.match(message, /p0 -> .* -> 29 more -> .* -> data\.p0\./);
  });

  it('takes no cycle through an optional requirement for one', () => {
    const { order, failures } = resolve([
      manifest('data.a', { ...serves('a.A'), requires: [{ service: 'b.B', optional: true }] }),
      manifest('data.b', { ...serves('b.B'), ...needs('a.A') }),
    ]);
    assert.deepEqual([order, failures], [['data.a', 'data.b'], []]);
  });

  it('takes no cycle through a service that another plugin provides as well for one', () => {
    const step = (extension: string): { service: string; extension: string } => ({
      service: 's.Step',
      extension,
    });
    const { failures } = resolve([
      manifest('data.a', { provides: [{ service: 'a.A' }, step('one')], ...needs('s.Step') }),
      manifest('data.b', { provides: [step('two')], ...needs('a.A') }),
    ]);
    assert.deepEqual(failures, []);
  });

  it('lets a plugin require its own service', () => {
    assert.deepEqual(resolve([manifest('data.a', { ...serves('a.A'), ...needs('a.A') })]).order, ['data.a']);
  });

  it('refuses a call up the layers, whether the service is there or not', () => {
    const upwards = resolve([
      manifest('model.train', serves('x.Train')),
      manifest('data.store', needs('x.Train', 'lamella.app.v1.ChatService')),
    ]);
    assert.deepEqual(reasons(upwards), ['data.store LAYER_VIOLATION', 'data.store LAYER_VIOLATION']);
    assert.match(upwards.failures[0]?.message ?? '', /of 'model\.train', which is in a higher layer/);
    const optional = manifest('data.store', {
      requires: [{ service: 'lamella.app.v1.ChatService', optional: true }],
    });
    assert.deepEqual(reasons(resolve([optional])), ['data.store LAYER_VIOLATION']);
  });

  it('leaves an extension point in its layer when a plugin outside the layers implements it', () => {
    const { failures } = resolve([
      manifest('acme.steps', { provides: [{ service: 'lamella.data.v1.StepService', extension: 'acme' }] }),
      manifest('data.preprocess', needs('lamella.data.v1.StepService')),
    ]);
    assert.deepEqual(failures, []);
  });

  it('lets a plugin outside the layers call all of them', () => {
    const { failures } = resolve([
      manifest('app.chat', serves('x.Chat')),
      manifest('acme.bot', needs('x.Chat')),
    ]);
    assert.deepEqual(failures, []);
  });

  it('refuses a second plugin of one id and a second provider of one service', () => {
    const result = resolve(
      [
        manifest('data.a'),
        manifest('data.b', serves('a.A')),
        manifest('data.c', serves('b.B')),
        manifest('data.c'),
      ],
      [manifest('data.a', serves('a.A'))],
    );
    assert.deepEqual(reasons(result), [
      'data.a DUPLICATE_PLUGIN',
      'data.b DUPLICATE_PROVIDER',
      'data.c DUPLICATE_PLUGIN',
    ]);
    assert.match(result.failures[1]?.message ?? '', /already provided by 'data\.a'/);
  });

  it('lets several plugins provide an extension point under different names only', () => {
    const driver = (extension: string): { provides: { service: string; extension: string }[] } => ({
      provides: [{ service: 'a.Driver', extension }],
    });
    const result = resolve([
      manifest('data.a', driver('one')),
      manifest('data.b', driver('two')),
      manifest('data.c', driver('two')),
    ]);
    assert.deepEqual(reasons(result), ['data.c DUPLICATE_PROVIDER']);
    assert.match(result.failures[0]?.message ?? '', /a\.Driver 'two' is already/);
  });

  it('refuses plugins made for another kernel', () => {
    const result = resolve([
      manifest('data.a', { kernel: '^0.1.0' }),
      manifest('data.b', { kernel: '>=2' }),
      manifest('data.c'),
    ]);
    assert.deepEqual(reasons(result), ['data.b KERNEL_VERSION']);
    assert.match(result.failures[0]?.message ?? '', /needs kernel >=2, this one is 0\.1\.0/);
  });

  it('tells everything that is wrong at once', () => {
    const result = resolve([
      manifest('data.a', { kernel: '^9.0.0', ...needs('x.X', 'y.Y') }),
      manifest('data.b', needs('z.Z')),
    ]);
    assert.deepEqual(reasons(result), [
      'data.a KERNEL_VERSION',
      'data.a MISSING_SERVICE',
      'data.a MISSING_SERVICE',
      'data.b MISSING_SERVICE',
    ]);
  });
});
