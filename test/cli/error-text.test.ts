import assert from 'node:assert/strict';
import fc from 'fast-check';
import { errorText, exitCodeOf, wrap } from '../../kernel/cli/error-text.ts';
import { StatusError } from '../../kernel/status-error.ts';
import { Code, defineError } from '../../sdk/index.ts';

const Broken = defineError({
  reason: 'THING_BROKEN',
  code: Code.INTERNAL,
  message: ({ thing }: Readonly<Record<'thing', string>>) => `The ${thing} is broken; mend it.`,
});

describe('error texts of the command line', () => {
  it('shows the sentence and the reason of a declared error, no stack', () => {
    assert.equal(
      errorText(new Broken({ thing: 'pump' })),
      'error: The pump is broken; mend it. [THING_BROKEN]',
    );
  });

  it('shows the name of a bare status', () => {
    assert.equal(
      errorText(new StatusError({ code: Code.NOT_FOUND, message: 'gone' })),
      'error: gone [NOT_FOUND]',
    );
  });

  it('shows whatever else was thrown', () => {
    assert.equal(errorText(new Error('plain')), 'error: plain');
    assert.equal(errorText('text'), 'error: text');
    assert.equal(exitCodeOf('text'), 1);
  });

  it('keeps every word whole and breaks lines at 80 columns', () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[a-z/]{1,100}$/)), (words) => {
        const wrapped = wrap(words.join(' '));
        assert.deepEqual(wrapped.split(/\s+/).filter(Boolean), words);
        for (const line of wrapped.split('\n')) {
          assert.ok(line.length <= 80 || !line.trim().includes(' '), line);
        }
      }),
    );
  });
});
