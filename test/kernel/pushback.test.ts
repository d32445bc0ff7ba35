import assert from 'node:assert/strict';
import { errorCatalogue } from '../../scripts/error-catalogue.ts';

/** Refusals that no wait makes good: what was sent is too large, or a command line is told so. */
const FINAL: ReadonlySet<string> = new Set([
  'EVENT_TOO_LARGE',
  'HTTP_BODY_TOO_LARGE',
  'LINK_MESSAGE_TOO_LARGE',
  'NPM_FAILED',
]);

describe('errors of the kernel by which it sheds load', () => {
  it('say after what time to retry', async () => {
    const shedding = (await errorCatalogue()).filter(
      ({ domain, code, reason }) =>
        domain === 'kernel' && ['RESOURCE_EXHAUSTED', 'UNAVAILABLE'].includes(code) && !FINAL.has(reason),
    );
    assert.ok(shedding.length > 10);
    const silent = shedding.filter(({ retryAfterMs }) => retryAfterMs === undefined);
    assert.deepEqual(
      silent.map(({ reason }) => reason),
      [],
    );
  });
});
