import assert from 'node:assert/strict';
import { isDeclaredError, pageOf } from '../../sdk/index.ts';

const self = (item: string): string => item;

describe('pages', () => {
  it('follow the order of the keys, whatever comes or goes in between', () => {
    const first = pageOf(['d', 'b', 'a', 'c'], self, { pageSize: 2, pageToken: '' });
    assert.deepEqual(first.items, ['a', 'b']);
    const second = pageOf(['aa', 'a', 'd', 'c'], self, { pageSize: 2, pageToken: first.nextPageToken });
    assert.deepEqual(second, { items: ['c', 'd'], nextPageToken: '' });
  });

  it('hold 100 items unless asked for more, and never more than 1,000', () => {
    const list = Array.from({ length: 1_500 }, (_, index) => String(index));
    const sizes = [0, 7, 5_000].map(
      (pageSize) => pageOf(list, self, { pageSize, pageToken: '' }).items.length,
    );
    assert.deepEqual(sizes, [100, 7, 1_000]);
  });

  for (const [what, request] of Object.entries({
    'a negative size': { pageSize: -1, pageToken: '' },
    'a token of somebody else': { pageSize: 0, pageToken: 'zzz' },
    'a token that is not base64': { pageSize: 0, pageToken: '???' },
    'an endless token': {
      pageSize: 0,
      pageToken: Buffer.from(`k${'x'.repeat(100_000)}`).toString('base64url'),
    },
  })) {
    it(`refuse ${what}`, () => {
      assert.throws(
        () => pageOf(['a'], self, request),
        (error) => isDeclaredError(error) && error.reason === 'PAGE_INVALID',
      );
    });
  }
});
