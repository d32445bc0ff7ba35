import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import fc from 'fast-check';
import { httpOperation } from '../../kernel/access/access.ts';
import { HttpMounts } from '../../kernel/server/http-mounts.ts';
import { requestUrl } from '../../kernel/server/http-request.ts';
import { DeclaredError } from '../../sdk/index.ts';
import { FUZZ_TIMEOUT_MS } from '../support/fuzz-runs.ts';

const PREFIXES = ['/', '/t', '/t/deep', '/v2', '/v2.x'];
const mounts = new HttpMounts();
for (const prefix of PREFIXES.slice(1)) mounts.add(prefix, () => new Response(), prefix);
const socket = new Socket();

const piece = fc.oneof(
  fc.constantFrom(
    '/',
    '//',
    '..',
    '.',
    '%2e%2e',
    '%2E',
    '%2f',
    '%5c',
    '\\',
    't',
    'v2',
    'deep',
    '?',
    '#',
    '@',
    ':',
  ),
  fc.constantFrom('%', '%zz', '%00', '%c3%28', ';', 'evil', 'http:', '\t', ' ', '\u3002'),
  fc.string({ unit: 'binary', maxLength: 4 }),
);
const target = fc.array(piece, { maxLength: 10 }).map((pieces) => pieces.join(''));
const targets = fc.oneof(
  target.map((rest) => `/${rest}`),
  target,
);
const hosts = fc.oneof(
  fc.constantFrom(
    'localhost',
    'localhost:8000',
    '[::1]:8000',
    'a@b',
    'a/b',
    'a:b',
    '',
    '127.0.0.1',
    'a.b:99999',
  ),
  fc.string({ unit: 'binary', maxLength: 10 }),
);

describe('a request over HTTP, for any target and Host', function () {
  this.timeout(FUZZ_TIMEOUT_MS);
  it('has a URL of this listener without dot segments, or is refused', () => {
    fc.assert(
      fc.property(targets, hosts, (url, host) => {
        try {
          const found = requestUrl({ url, headers: { host }, socket } as IncomingMessage);
          assert.equal(found.protocol, 'http:');
          assert.equal(`${found.username}${found.password}`, '');
          assert.ok(found.pathname.startsWith('/'));
          const segments = found.pathname.split('/').map((segment) => segment.toLowerCase());
          assert.ok(
            !segments.some((segment) => ['.', '..', '%2e', '%2e%2e', '.%2e', '%2e.'].includes(segment)),
          );
          if (url.startsWith('/')) assert.equal(found.host, new URL(`http://${host}`).host);
        } catch (error) {
          if (error instanceof assert.AssertionError) throw error;
          assert.ok(error instanceof DeclaredError && error.reason === 'HTTP_REQUEST_INVALID', String(error));
        }
      }),
    );
  });

  it('reaches the handler of the longest prefix that ends at a segment, or none', () => {
    fc.assert(
      fc.property(targets, (url) => {
        const { pathname } = new URL(`http://localhost/${url}`);
        const below = (prefix: string): boolean => pathname === prefix || pathname.startsWith(`${prefix}/`);
        const expected = PREFIXES.filter((prefix) => prefix !== '/' && below(prefix)).toSorted(
          (a, b) => b.length - a.length,
        )[0];
        try {
          assert.equal(mounts.find(pathname).owner, expected);
        } catch (error) {
          if (error instanceof assert.AssertionError) throw error;
          assert.ok(error instanceof DeclaredError && error.reason === 'HTTP_PATH_NOT_FOUND', String(error));
          assert.equal(expected, undefined);
        }
      }),
    );
  });

  it('is decided by rules on a path that cannot hide a segment behind percent signs', () => {
    fc.assert(
      fc.property(fc.constantFrom('t', 'v2'), fc.nat(), (word, mask) => {
        const hidden = `/${word}/x`
          .split('')
          .map((letter, index) =>
            index > 0 && ((mask >> index) & 1) === 1
              ? `%${letter.charCodeAt(0).toString(16).padStart(2, '0')}`
              : letter,
          )
          .join('');
        assert.equal(
          httpOperation('get', new URL(`http://localhost${hidden}`).pathname),
          `http:GET /${word}/x`,
        );
      }),
    );
  });
});
