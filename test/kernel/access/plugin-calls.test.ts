import assert from 'node:assert/strict';
import { create } from '@bufbuild/protobuf';
import { AccessGate } from '../../../kernel/access/gate.ts';
import { Call } from '../../../kernel/call.ts';
import { CapabilityGuard } from '../../../kernel/capabilities/guard.ts';
import { ManifestSchema } from '../../../proto/gen/lamella/kernel/v1/manifest_pb.ts';

describe('calls of plugins', () => {
  const guard = new CapabilityGuard();
  guard.admit(create(ManifestSchema, { id: 'a.b', requires: [{ service: 'x.v1.S' }] }));
  const gate = new AccessGate(guard).interceptor();
  const call = (caller: string, isForeign: boolean): Call =>
    new Call({ readHeaders: () => new Map(), readPeer: () => '', caller, isForeign });

  it('from a process reach what its manifest requires, and nothing else', () => {
    const plugin = call('a.b', true);
    assert.equal(gate.before?.(plugin, '/x.v1.S/M'), undefined);
    assert.throws(() => gate.before?.(plugin, '/lamella.kernel.v1.PluginService/LoadPlugin'), {
      reason: 'CAPABILITY_DENIED',
    });
  });

  it('inside the kernel are held to the same by their host object', () => {
    assert.equal(gate.before?.(call('a.b', false), '/x.v1.S/M'), undefined);
  });

  it('from outside are refused until the kernel knows its rules', () => {
    const outside = new Call({ readHeaders: () => new Map(), readPeer: () => '' });
    assert.throws(() => gate.before?.(outside, '/x.v1.S/M'), /has not opened its gate/);
  });
});
