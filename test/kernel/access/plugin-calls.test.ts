import assert from 'node:assert/strict';
import { AccessGate } from '../../../kernel/access/gate.ts';
import { Call } from '../../../kernel/call.ts';

describe('calls of plugins', () => {
  const gate = new AccessGate().interceptor();
  const call = (caller: string, callable?: ReadonlySet<string>): Call =>
    new Call({ readHeaders: () => new Map(), readPeer: () => '', caller, callable });

  it('from a process reach what its manifest requires, and nothing else', () => {
    const plugin = call('a.b', new Set(['x.v1.S']));
    assert.equal(gate.before?.(plugin, '/x.v1.S/M'), undefined);
    assert.throws(() => gate.before?.(plugin, '/lamella.kernel.v1.PluginService/LoadPlugin'), {
      reason: 'SERVICE_NOT_REQUIRED',
    });
  });

  it('inside the kernel are held to the same by their host object', () => {
    assert.equal(gate.before?.(call('a.b'), '/x.v1.S/M'), undefined);
  });

  it('from outside are refused until the kernel knows its rules', () => {
    const outside = new Call({ readHeaders: () => new Map(), readPeer: () => '' });
    assert.throws(() => gate.before?.(outside, '/x.v1.S/M'), /has not opened its gate/);
  });
});
