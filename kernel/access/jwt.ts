import { createHash } from 'node:crypto';
import { decodeJwt, errors, type JWTPayload, jwtVerify, type JWTVerifyGetKey } from 'jose';
import type { Clock, Logger } from '../../sdk/index.ts';
import type { JwtConfig } from './access-config.ts';
import { CredentialsInvalid } from './errors.ts';
import { type JwksTimes, keySet } from './jwks.ts';
import type { Principal } from './principal.ts';
import { TokenBuckets } from './rate-limits.ts';

/** Three base64url parts, as a signed token has them. */
const COMPACT = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/** Verified tokens kept; a signature costs a hundred times as much as finding one here. */
const CACHE_LIMIT = 10_000;

/** Time after which a token is verified again, so that a key that was withdrawn stops working, in milliseconds. */
const CACHE_MS = 60_000;

/** Signatures checked for one address that has none of its tokens accepted: the rest is refused unchecked. */
const FAILURES = { perSecond: 5, burst: 50 };

interface Verified {
  readonly principal: Principal;
  /** Wall-clock bounds with the skew in them. */
  readonly fromMs: number;
  readonly untilMs: number;
  /** By a clock that never jumps. */
  readonly verifiedMs: number;
}

interface Issuer {
  readonly config: JwtConfig;
  readonly keys: JWTVerifyGetKey;
}

/** Parts of {@link JwtVerifier}. */
export interface JwtVerifierParts {
  readonly issuers: readonly JwtConfig[];
  readonly clock: Clock;
  readonly log: Logger;
  /** A clock that never jumps. */
  readonly now?: () => number;
  readonly times?: JwksTimes;
}

/** Verifies JSON Web Tokens (RFC 7519) by the keys of their issuers, as RFC 8725 advises: algorithm, issuer and audience are ours to say. */
export class JwtVerifier {
  readonly #issuers: ReadonlyMap<string, Issuer>;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #now: () => number;
  readonly #verified: Map<string, Verified> = new Map();
  readonly #failures: TokenBuckets;

  constructor({ issuers, clock, log, now = () => performance.now(), times }: JwtVerifierParts) {
    this.#issuers = new Map(
      issuers.map((config) => [config.issuer, { config, keys: keySet(config.jwks, times) }]),
    );
    this.#clock = clock;
    this.#log = log;
    this.#now = now;
    this.#failures = new TokenBuckets(FAILURES, now);
  }

  /** Whether a bearer token is for this verifier at all. */
  accepts(token: string): boolean {
    return this.#issuers.size > 0 && COMPACT.test(token);
  }

  /** Who sends this token; at once when it was verified a moment ago. @throws CREDENTIALS_INVALID */
  verify(token: string, peer: () => string): Principal | Promise<Principal> {
    const key = createHash('sha256').update(token).digest('base64');
    const known = this.#verified.get(key);
    if (known !== undefined && this.#now() - known.verifiedMs < CACHE_MS) return this.#stillValid(known);
    this.#verified.delete(key);
    return this.#verify(token, key, peer());
  }

  #stillValid({ principal, fromMs, untilMs }: Verified): Principal {
    const nowMs = this.#clock.now();
    if (nowMs >= untilMs) throw invalid('the token has expired; get a new one');
    if (nowMs < fromMs) throw invalid('the token is not valid yet; check the clock of this machine');
    return principal;
  }

  async #verify(token: string, key: string, peer: string): Promise<Principal> {
    const address = peer.slice(0, Math.max(0, peer.lastIndexOf(':')));
    const issuer = this.#issuerOf(token);
    const waitMs = this.#failures.take(address);
    if (waitMs > 0) throw invalid('too many tokens of this address were wrong; wait a second', waitMs);
    const verified = await this.#check(token, issuer);
    this.#failures.giveBack(address);
    if (this.#verified.size >= CACHE_LIMIT) this.#verified.clear();
    this.#verified.set(key, verified);
    return verified.principal;
  }

  #issuerOf(token: string): Issuer {
    let iss: unknown;
    try {
      if (!hasOneForm(token)) throw new Error('its signature could be written otherwise');
      ({ iss } = decodeJwt(token));
    } catch {
      throw invalid('the token is no JSON Web Token');
    }
    const issuer = typeof iss === 'string' ? this.#issuers.get(iss) : undefined;
    if (issuer === undefined) throw invalid('the issuer of the token is not among access.jwt');
    return issuer;
  }

  async #check(token: string, { config, keys }: Issuer): Promise<Verified> {
    const nowMs = this.#clock.now();
    const { issuer, audience, algorithms, clockSkewSeconds } = config;
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer,
        audience,
        algorithms: [...algorithms],
        clockTolerance: clockSkewSeconds,
        currentDate: new Date(nowMs),
        requiredClaims: ['exp', 'sub'],
      });
      if ((payload.iat ?? 0) > nowMs / 1000 + clockSkewSeconds)
        throw invalid('the token was issued in the future');
      return {
        principal: principalOf(payload, config),
        fromMs: ((payload.nbf ?? payload.iat ?? 0) - clockSkewSeconds) * 1000,
        untilMs: ((payload.exp ?? 0) + clockSkewSeconds) * 1000,
        verifiedMs: this.#now(),
      };
    } catch (error) {
      throw this.#explain(error, issuer);
    }
  }

  #explain(error: unknown, issuer: string): Error {
    if (error instanceof CredentialsInvalid) return error;
    if (error instanceof errors.JWTExpired) return invalid('the token has expired; get a new one');
    if (error instanceof errors.JWTClaimValidationFailed)
      return invalid(`claim '${error.claim}' of the token is not what access.jwt asks for`);
    if (error instanceof errors.JOSEAlgNotAllowed)
      return invalid('the algorithm of the token is not among access.jwt.algorithms');
    if (error instanceof errors.JWSSignatureVerificationFailed)
      return invalid('the signature of the token is wrong');
    if (error instanceof errors.JWKSNoMatchingKey)
      return invalid('the key of the token is not in the key set of its issuer');
    // The key set is out of reach, or the token is broken in some other way; the log tells which.
    this.#log.warn('a token could not be verified', { issuer, error });
    return invalid("the token could not be verified; the kernel's log says why");
  }
}

function invalid(problem: string, retryAfterMs?: number): Error {
  return new CredentialsInvalid({ problem }, retryAfterMs === undefined ? {} : { retryAfterMs });
}

function principalOf(payload: JWTPayload, { issuer, rolesClaim, roles }: JwtConfig): Principal {
  const claim = payload[rolesClaim];
  const values = (Array.isArray(claim) ? claim : [claim]).filter((value) => typeof value === 'string');
  const grants = ['*', ...values].flatMap((value) =>
    Object.hasOwn(roles, value) ? (roles[value] ?? []) : [],
  );
  return {
    kind: 'jwt',
    name: `jwt:${cut(String(payload.sub))}@${cut(issuer)}`,
    grants: [...new Set(grants)],
  };
}

function cut(text: string): string {
  return text.slice(0, 128);
}

/** White space and spare bits in a signature change nothing for who decodes it, and would make many texts of one token. */
function hasOneForm(token: string): boolean {
  const signature = token.slice(token.lastIndexOf('.') + 1);
  return Buffer.from(signature, 'base64url').toString('base64url') === signature;
}
