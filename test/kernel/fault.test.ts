import assert from 'node:assert/strict';
import { isFaultOf } from '../../kernel/fault.ts';
import { toStatus } from '../../kernel/server/status.ts';
import { StatusError } from '../../kernel/status-error.ts';
import { Code, DeclaredError } from '../../sdk/index.ts';

describe('a failed call', () => {
  const failure = (domain: string, retryAfterMs?: number): DeclaredError =>
    new DeclaredError({
      reason: 'BROKEN',
      code: Code.UNAVAILABLE,
      message: 'broken',
      domain,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  /** The error as it comes from a process. */
  const fromProcess = (error: DeclaredError): StatusError => new StatusError(toStatus(error, () => 'id'));

  const cases: readonly { what: string; error: DeclaredError; isFault: boolean }[] = [
    { what: 'of its own', error: failure('a.b.lamella'), isFault: true },
    { what: "of another plugin's", error: failure('c.d.lamella'), isFault: false },
    { what: 'of a server elsewhere', error: failure('10.0.0.1:8001'), isFault: false },
    { what: 'of the link to it', error: failure('lamella', 250), isFault: true },
    { what: 'that is a refusal with a delay', error: failure('a.b.lamella', 250), isFault: false },
  ];
  for (const { what, error, isFault } of cases) {
    it(`by an error ${what} ${isFault ? 'is' : 'is not'} the plugin's fault, at every level`, () => {
      assert.equal(isFaultOf('a.b', error), isFault);
      assert.equal(isFaultOf('a.b', fromProcess(error)), isFault);
    });
  }

  it('by what nobody declared is the fault of the plugin', () => {
    assert.equal(isFaultOf('a.b', new Error('oh')), true);
    assert.equal(isFaultOf('a.b', new StatusError({ code: Code.UNKNOWN, message: 'oh' })), true);
  });
});
