import assert from 'node:assert/strict';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { SignJWT } from 'jose';
import { generateKey, parseKey } from '../../kernel/access/api-key.ts';
import { JwtVerifier } from '../../kernel/access/jwt.ts';
import { KeyStore } from '../../kernel/access/key-store.ts';
import { spiffeIdOf } from '../../kernel/access/peer-identity.ts';
import { isRule, Rule } from '../../kernel/access/rule.ts';
import { createLogger } from '../../kernel/logger.ts';
import { DeclaredError } from '../../sdk/index.ts';
import { MemoryStorage } from '../kernel/access/memory-storage.ts';
import { FUZZ_TIMEOUT_MS } from '../support/fuzz-runs.ts';

const clock = { now: () => Date.UTC(2026, 0, 1) };
const log = createLogger({ level: 'silent' });
const isRefusal = (error: unknown): boolean =>
  error instanceof DeclaredError && error.reason === 'CREDENTIALS_INVALID';

/** A text with some of its characters replaced, inserted or left out. */
const changed = (text: string): fc.Arbitrary<string> =>
  fc
    .array(fc.tuple(fc.nat(text.length), fc.nat(2), fc.string({ unit: 'binary', maxLength: 3 })), {
      minLength: 1,
      maxLength: 3,
    })
    .map((changes) => {
      let result = text;
      for (const [at, cut, put] of changes) result = result.slice(0, at) + put + result.slice(at + cut);
      return result;
    })
    .filter((result) => result !== text);

describe('credentials, for any text', function () {
  this.timeout(FUZZ_TIMEOUT_MS);
  const issuer = 'https://issuer.example';
  const file = path.join(tmpdir(), `lamella-jwks-${randomUUID()}.json`);
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  let token = '';
  let verifier: JwtVerifier;

  before(async () => {
    writeFileSync(file, JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'one' }] }));
    const seconds = clock.now() / 1000;
    token = await new SignJWT({ iss: issuer, aud: 'lamella', sub: 'ann', iat: seconds, exp: seconds + 60 })
      .setProtectedHeader({ alg: 'EdDSA', kid: 'one' })
      .sign(privateKey);
    verifier = new JwtVerifier({
      issuers: [
        {
          issuer,
          audience: 'lamella',
          jwks: file,
          algorithms: ['EdDSA'],
          clockSkewSeconds: 0,
          rolesClaim: 'roles',
          roles: {},
        },
      ],
      clock,
      log,
    });
    assert.equal((await verifier.verify(token, () => '1.2.3.4:5')).kind, 'jwt');
  });

  after(() => rmSync(file, { force: true }));

  /** Each from an address of its own, so that all are looked at. */
  let calls = 0;
  const verify = async (text: string): Promise<unknown> =>
    verifier.verify(text, () => `peer-${(calls += 1)}:1`);
  const part = fc
    .oneof(fc.json(), fc.string({ unit: 'binary' }))
    .map((text) => Buffer.from(text).toString('base64url'));
  const head = fc
    .record({
      alg: fc.constantFrom('none', 'HS256', 'EdDSA', 'RS256', ''),
      kid: fc.jsonValue(),
      crit: fc.jsonValue(),
    })
    .map((json) => Buffer.from(JSON.stringify(json)).toString('base64url'));

  it('take no token but those that the issuer has signed, and explain the refusal', async () => {
    const made = fc.tuple(fc.oneof(head, part), part, part).map((parts) => parts.join('.'));
    const grafted = fc
      .tuple(head, part)
      .map(([first, last]) => `${first}.${token.split('.')[1] ?? ''}.${last}`);
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(made, grafted, changed(token), fc.string({ unit: 'binary' })),
        async (text) => {
          await assert.rejects(verify(text), isRefusal);
        },
      ),
    );
  });

  it('take no key but the one that was made', async () => {
    const keys = await KeyStore.open({ storage: new MemoryStorage(), clock, log });
    const { text } = await keys.create({ name: 'one', scopes: ['user'], expiresMs: undefined });
    assert.equal(keys.verify(text).name, 'key:one');
    fc.assert(
      fc.property(fc.oneof(changed(text), fc.string({ unit: 'binary' })), (other) => {
        assert.throws(() => keys.verify(other), isRefusal);
      }),
    );
  });

  it('know a key by its whole form', () => {
    const { text, id } = generateKey();
    assert.equal(parseKey(text)?.id, id);
    fc.assert(
      fc.property(fc.oneof(changed(text), fc.string()), (other) => {
        const parsed = parseKey(other);
        assert.ok(parsed === undefined || `lml_${parsed.id}_${parsed.secret}` === other);
      }),
    );
  });

  it('find at most one SPIFFE id, as it stands in the certificate', () => {
    const name = fc.oneof(
      fc.constantFrom(
        'URI:spiffe://a.b/c',
        'URI:spiffe://a.b/../c',
        'URI:https://a',
        'DNS:URI:spiffe://a.b/c',
        '"',
      ),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(name, { maxLength: 4 }), (names) => {
        const id = spiffeIdOf(names.join(', '));
        if (id === undefined) return;
        assert.ok(names.join(', ').split(', ').includes(`URI:${id}`));
        assert.doesNotMatch(id, /\/\.\.?(\/|$)|[\s,"]/);
      }),
    );
  });
});

describe('access rules, for any text', function () {
  this.timeout(FUZZ_TIMEOUT_MS);
  const rule = fc
    .array(fc.constantFrom('a', 'b', '*', '**', '.', '/', 'a.v1.S/M', 'http:GET /', 'http:', '!', 'é'), {
      minLength: 1,
      maxLength: 8,
    })
    .map((parts) => parts.join(''));
  const operation = fc
    .array(fc.constantFrom('a', 'b', '.', '/', 'a.v1.S/M', 'http:GET /', 'http:', '\n', 'é'), {
      maxLength: 10,
    })
    .map((parts) => parts.join(''));

  it('match what a regular expression would, each in its own world', () => {
    fc.assert(
      fc.property(rule, operation, (text, asked) => {
        if (!isRule(text)) return;
        const pattern = text.replace(/^!/, '');
        const escaped = pattern.replaceAll(/[.+?^${}()|[\]\\/]/g, String.raw`\$&`).replaceAll('*', '[^]*');
        const isSameWorld = pattern === '*' || pattern.startsWith('http:') === asked.startsWith('http:');
        assert.equal(new Rule(text).matches(asked), isSameWorld && new RegExp(`^${escaped}$`).test(asked));
      }),
    );
  });
});
