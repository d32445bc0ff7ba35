import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, type JWK, SignJWT } from 'jose';
import type { JwtConfig } from '../../../kernel/access/access-config.ts';
import { JwtVerifier } from '../../../kernel/access/jwt.ts';
import type { Principal } from '../../../kernel/access/principal.ts';
import { createLogger } from '../../../kernel/logger.ts';

interface SigningKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
  readonly jwk: JWK;
}

async function signingKey(kid: string, alg = 'ES256'): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, publicKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

const ISSUER = 'https://issuer.example';
const START_MS = Date.UTC(2026, 0, 1);

describe('JSON Web Tokens', () => {
  let folder = '';
  let file = '';
  let nowMs = START_MS;
  let monotonicMs = 0;
  let key: SigningKey;
  let logged: string[] = [];

  before(async () => {
    key = await signingKey('one');
  });

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'lamella-test-'));
    file = path.join(folder, 'jwks.json');
    await writeKeys(key);
    [nowMs, monotonicMs, logged] = [START_MS, 0, []];
  });

  afterEach(() => rm(folder, { recursive: true, force: true }));

  async function writeKeys(...keys: readonly SigningKey[]): Promise<void> {
    await writeFile(file, JSON.stringify({ keys: keys.map(({ jwk }) => jwk) }));
  }

  function verifier(parts: Partial<JwtConfig> = {}): JwtVerifier {
    const config: JwtConfig = {
      issuer: ISSUER,
      audience: 'lamella',
      jwks: file,
      algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA'],
      clockSkewSeconds: 30,
      rolesClaim: 'roles',
      roles: { ops: ['admin'], staff: ['user'], '*': ['viewer'] },
      ...parts,
    };
    return new JwtVerifier({
      issuers: [config],
      clock: { now: () => nowMs },
      log: createLogger({ format: 'json', write: (line) => logged.push(line) }),
      now: () => monotonicMs,
      times: { cooldownMs: 0 },
    });
  }

  const seconds = (): number => Math.floor(nowMs / 1000);

  interface TokenParts {
    readonly by?: SigningKey;
    readonly claims?: Readonly<Record<string, unknown>>;
    readonly header?: Readonly<Record<string, unknown>>;
  }

  async function token({ by = key, claims = {}, header = {} }: TokenParts = {}): Promise<string> {
    const standard = { iss: ISSUER, aud: 'lamella', sub: 'ann', iat: seconds(), exp: seconds() + 600 };
    return new SignJWT({ ...standard, ...claims })
      .setProtectedHeader({ alg: by.alg, kid: by.kid, ...header })
      .sign(by.privateKey);
  }

  const verify = async (by: JwtVerifier, text: string): Promise<Principal> =>
    by.verify(text, () => '10.0.0.1:1');

  async function refused(by: JwtVerifier, text: string, problem: RegExp): Promise<void> {
    await assert.rejects(verify(by, text), (error: Error & { reason?: string }) => {
      assert.equal(error.reason, 'CREDENTIALS_INVALID');
      assert.match(error.message, problem);
      return true;
    });
  }

  it('name their principal, with roles from claims', async () => {
    const tokens = verifier();
    const principal = await verify(tokens, await token({ claims: { roles: ['ops', 'unknown', 7] } }));
    assert.deepEqual(principal, { kind: 'jwt', name: `jwt:ann@${ISSUER}`, grants: ['viewer', 'admin'] });
    const single = await verify(tokens, await token({ claims: { roles: 'staff' } }));
    assert.deepEqual(single.grants, ['viewer', 'user']);
    const inherited = await verify(tokens, await token({ claims: { roles: ['constructor', '__proto__'] } }));
    assert.deepEqual(inherited.grants, ['viewer']);
  });

  it('are accepted for our issuer and audience only', async () => {
    const tokens = verifier();
    await verify(tokens, await token({ claims: { aud: ['other', 'lamella'] } }));
    await refused(tokens, await token({ claims: { aud: 'other' } }), /'aud'/);
    await refused(tokens, await token({ claims: { aud: undefined } }), /'aud'/);
    await refused(tokens, await token({ claims: { iss: 'https://evil.example' } }), /issuer/);
    await refused(tokens, await token({ claims: { iss: undefined } }), /issuer/);
  });

  it('must have an end and a subject', async () => {
    await refused(verifier(), await token({ claims: { exp: undefined } }), /'exp'/);
    await refused(verifier(), await token({ claims: { sub: undefined } }), /'sub'/);
  });

  it('without a signature, or signed with a public key as a shared secret, are refused', async () => {
    const rsa = await signingKey('rsa', 'RS256');
    await writeKeys(rsa, key);
    const encode = (part: unknown): string => Buffer.from(JSON.stringify(part)).toString('base64url');
    const payload = encode({ iss: ISSUER, aud: 'lamella', sub: 'ann', exp: seconds() + 600, roles: 'ops' });
    const none = `${encode({ alg: 'none' })}.${payload}.`;
    assert.equal(verifier().accepts(none), false, 'not even looked at');
    await refused(verifier(), `${none}AA`, /algorithm/);
    const head = encode({ alg: 'HS256', kid: 'rsa' });
    const secret = await exportSPKI(rsa.publicKey);
    const signature = createHmac('sha256', secret).update(`${head}.${payload}`).digest('base64url');
    await refused(verifier(), `${head}.${payload}.${signature}`, /algorithm/);
  });

  it('are refused when their algorithm is not on the list, however good the signature', async () => {
    await refused(verifier({ algorithms: ['EdDSA'] }), await token(), /algorithm/);
  });

  it('with a changed payload, another key, or rubbish are refused', async () => {
    const tokens = verifier();
    const [head, , signature] = (await token()).split('.');
    const payload = Buffer.from(
      JSON.stringify({ iss: ISSUER, aud: 'lamella', sub: 'eve', exp: seconds() + 600 }),
    );
    await refused(tokens, `${head}.${payload.toString('base64url')}.${signature}`, /signature/);
    await refused(tokens, await token({ by: await signingKey('one') }), /signature/);
    await refused(tokens, await token({ by: await signingKey('two') }), /key of the token/);
    await refused(tokens, 'a.b.c', /no JSON Web Token/);
    // The same signature for who decodes it.
    await refused(tokens, (await token()).replace(/\.(?=[^.]*$)/, '.\t'), /no JSON Web Token/);
    // A key that the token brings itself is nothing.
    const own = await signingKey('mine');
    await refused(
      tokens,
      await token({ by: own, header: { jwk: own.jwk, jku: 'https://evil.example/' } }),
      /key of the token/,
    );
  });

  it('are verified once, then known for a minute, and end on time', async () => {
    const tokens = verifier();
    const text = await token({ claims: { exp: seconds() + 40 } });
    await verify(tokens, text);
    await writeFile(file, 'gone');
    assert.ok(!(tokens.verify(text, () => '') instanceof Promise), 'known at once');
    nowMs += 69_000;
    await verify(tokens, text);
    nowMs += 1_000;
    await refused(tokens, text, /expired/);
  });

  it('are verified again after a minute, so that a key that was withdrawn stops working', async () => {
    const tokens = verifier();
    const text = await token();
    await verify(tokens, text);
    await writeKeys(await signingKey('two'));
    monotonicMs = 60_000;
    await refused(tokens, text, /key of the token/);
  });

  it('survive small differences of clocks and a clock that jumps', async () => {
    const tokens = verifier();
    await verify(tokens, await token({ claims: { iat: seconds() + 29, nbf: seconds() + 29 } }));
    await refused(tokens, await token({ claims: { nbf: seconds() + 31 } }), /'nbf'/);
    await refused(tokens, await token({ claims: { iat: seconds() + 31 } }), /future/);
    const text = await token();
    await verify(tokens, text);
    nowMs += 3_600_000;
    await refused(tokens, text, /expired/);
    nowMs = START_MS - 3_600_000;
    await refused(tokens, text, /not valid yet/);
    nowMs = START_MS;
    await verify(tokens, text);
  });

  it('that are wrong again and again are refused unchecked, while others get in', async () => {
    const tokens = verifier();
    const good = await token();
    await verify(tokens, good);
    const wrong = await token({ by: await signingKey('one') });
    for (let count = 0; count < 50; count += 1) await refused(tokens, wrong, /signature/);
    await refused(tokens, wrong, /too many/);
    await verify(tokens, good);
    const elsewhere = await tokens.verify(await token({ claims: { jti: 'x' } }), () => '10.0.0.2:1');
    assert.equal(elsewhere.kind, 'jwt');
    monotonicMs += 1_000;
    await refused(tokens, wrong, /signature/);
  });

  it('are verified by a key file that changes', async () => {
    const tokens = verifier();
    const next = await signingKey('two', 'EdDSA');
    await refused(tokens, await token({ by: next }), /key of the token/);
    await writeKeys(key, next);
    await utimes(file, new Date(), new Date(Date.now() + 5_000));
    await verify(tokens, await token({ by: next }));
    await writeFile(file, 'not JSON');
    await refused(tokens, await token({ claims: { jti: 'new' } }), /log says why/);
    assert.match(logged.join(''), /JSON/);
  });

  describe('of an issuer on the network', () => {
    let server: Server;
    let keys: readonly SigningKey[] = [];
    let requestCount = 0;

    beforeEach(async () => {
      [keys, requestCount] = [[key], 0];
      server = createServer((_request, response) => {
        requestCount += 1;
        response.end(JSON.stringify({ keys: keys.map(({ jwk }) => jwk) }));
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    });

    afterEach(
      () =>
        new Promise<void>((resolve) => {
          server.closeAllConnections();
          server.close(() => resolve());
        }),
    );

    const place = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;

    it('are verified by keys that are fetched once, and again when a new one appears', async () => {
      const tokens = verifier({ jwks: place() });
      for (const jti of ['a', 'b', 'c']) await verify(tokens, await token({ claims: { jti } }));
      assert.equal(requestCount, 1);
      const next = await signingKey('two');
      keys = [key, next];
      await verify(tokens, await token({ by: next }));
      assert.equal(requestCount, 2);
    });

    it('are refused, with the reason in the log, while the issuer is away', async () => {
      const tokens = verifier({ jwks: 'http://127.0.0.1:1/jwks' });
      await refused(tokens, await token(), /log says why/);
      assert.match(logged.join(''), /could not be verified/);
    });
  });
});
