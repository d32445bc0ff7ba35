import type { Clock, Logger } from '../../sdk/index.ts';
import { isDeclaredError } from '../../sdk/index.ts';
import { KEY_PREFIX } from './api-key.ts';
import type { AccessConfig } from './access-config.ts';
import { sidecarList } from './access-problems.ts';
import type { Audit } from './audit.ts';
import { AccessDenied, CredentialsInvalid, CredentialsRequired, PrincipalUnknown } from './errors.ts';
import { JwtVerifier } from './jwt.ts';
import type { KeyStore } from './key-store.ts';
import { OWNER_PREFIX, type OwnerToken } from './owner-token.ts';
import { Peers } from './peer-identity.ts';
import { CREDENTIAL_HEADERS, type Evidence, FORWARDED_HEADERS, type Principal } from './principal.ts';
import { RateLimits } from './rate-limits.ts';
import { type Decision, type Roles, ruleText } from './roles.ts';

/** Parts of {@link Access}. */
export interface AccessParts {
  readonly config: AccessConfig;
  /** Role of callers without credentials. */
  readonly anonymous: string;
  readonly roles: Roles;
  readonly keys: KeyStore;
  readonly owner: OwnerToken;
  readonly audit: Audit;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A caller that may go on. */
export interface Admission {
  readonly principal: Principal;
  /** Headers that must not reach a plugin. */
  readonly withheld: readonly string[];
}

/** A decision with everything that led to it. */
export interface Explanation {
  readonly principal: Principal;
  readonly decision: Decision;
  /** The same in one sentence. */
  readonly sentence: string;
}

interface Refused {
  readonly operation: string;
  /** Known when the credentials were accepted. */
  readonly principal?: Principal;
  readonly decision?: Decision;
}

/** Longest credential that is looked at, in characters. */
const MAX_CREDENTIAL = 16 * 1024;

const WITHHELD: readonly string[] = [...CREDENTIAL_HEADERS, ...FORWARDED_HEADERS];

/** Who is calling, whether they may, and how often: the same for every listener. */
export class Access {
  readonly #parts: AccessParts;
  readonly #anonymous: Admission;
  readonly #peers: Peers;
  readonly #jwt: JwtVerifier;
  readonly #limits: RateLimits;

  constructor(parts: AccessParts) {
    this.#parts = parts;
    const { config, clock, log } = parts;
    const principal: Principal = { kind: 'anonymous', name: 'anonymous', grants: [parts.anonymous] };
    this.#anonymous = { principal, withheld: FORWARDED_HEADERS };
    this.#peers = new Peers(config.peers, sidecarList(config.sidecars));
    this.#jwt = new JwtVerifier({ issuers: config.jwt, clock, log });
    this.#limits = new RateLimits(config.limits);
  }

  /**
   * Lets a caller go on, or refuses and says so in the audit. Answers at once unless a signature has to be checked.
   *
   * @throws CREDENTIALS_INVALID, CREDENTIALS_REQUIRED, ACCESS_DENIED, RATE_LIMITED
   */
  admit(evidence: Evidence, operation: string): Admission | Promise<Admission> {
    let found: Admission | Promise<Admission>;
    try {
      found = this.#identify(evidence);
    } catch (error) {
      throw this.#refused(error, evidence, { operation });
    }
    if (!(found instanceof Promise)) return this.#authorise(found, evidence, operation);
    return found.then(
      (admission) => this.#authorise(admission, evidence, operation),
      (error: unknown) => {
        throw this.#refused(error, evidence, { operation });
      },
    );
  }

  #identify(evidence: Evidence): Admission | Promise<Admission> {
    const token = bearer(evidence.header('authorization')) ?? evidence.header('x-api-key');
    if (token !== undefined) {
      if (token.length > MAX_CREDENTIAL) throw new CredentialsInvalid({ problem: 'they are too long' });
      const found = this.#byToken(token, evidence);
      if (found instanceof Promise) return found.then((principal) => ({ principal, withheld: WITHHELD }));
      if (found !== undefined) return { principal: found, withheld: WITHHELD };
    }
    const peer = this.#peers.principal(evidence);
    if (peer !== undefined) {
      return { principal: peer, withheld: this.#peers.isSidecar(evidence) ? [] : FORWARDED_HEADERS };
    }
    return this.#anonymous;
  }

  /** A bearer token that is none of ours is left to the plugins: clients of OpenAI's API always send one. */
  #byToken(token: string, evidence: Evidence): Principal | Promise<Principal> | undefined {
    if (token.startsWith(KEY_PREFIX)) return this.#parts.keys.verify(token);
    if (token.startsWith(OWNER_PREFIX)) return this.#parts.owner.verify(token);
    return this.#jwt.accepts(token) ? this.#jwt.verify(token, () => evidence.peer()) : undefined;
  }

  #authorise(admission: Admission, evidence: Evidence, operation: string): Admission {
    const { principal } = admission;
    const decision = this.#parts.roles.decide(principal.grants, operation);
    try {
      if (!decision.isAllowed) throw denial(principal, decision, operation);
      this.#limits.count(principal);
    } catch (error) {
      throw this.#refused(error, evidence, { operation, principal, decision });
    }
    return admission;
  }

  #refused(error: unknown, evidence: Evidence, { operation, principal, decision }: Refused): unknown {
    this.#parts.audit.record({
      action: 'denied',
      principal: principal?.name ?? 'unknown',
      operation,
      rule: decision === undefined ? '' : ruleText(decision),
      reason: isDeclaredError(error) ? error.reason : 'INTERNAL',
      peer: evidence.peer(),
    });
    return error;
  }

  /** The decision for somebody else. @throws PRINCIPAL_UNKNOWN, API_KEY_NOT_FOUND */
  explain(who: string, operation: string): Explanation {
    const principal = this.#named(who);
    const decision = this.#parts.roles.decide(principal.grants, operation);
    const verb = decision.isAllowed ? 'may' : 'may not';
    const grants = principal.grants.join(', ');
    const sentence = `${principal.name} (${grants}) ${verb} call ${operation}: ${ruleText(decision)}`;
    return { principal, decision, sentence };
  }

  #named(who: string): Principal {
    if (who === 'anonymous') return this.#anonymous.principal;
    if (who === 'owner') return { kind: 'owner', name: 'owner', grants: ['admin'] };
    const [kind, name] = [who.slice(0, who.indexOf(':')), who.slice(who.indexOf(':') + 1)];
    if (kind === 'key') return this.#parts.keys.principal(name);
    if (kind === 'role' && this.#parts.roles.isGrant(name))
      return { kind: 'role', name: who, grants: [name] };
    const peer = kind === 'peer' ? this.#peers.byId(name) : undefined;
    if (peer === undefined) throw new PrincipalUnknown({ principal: who.slice(0, 64) });
    return peer;
  }
}

function denial(principal: Principal, decision: Decision, operation: string): Error {
  const rule = ruleText(decision);
  if (principal.kind === 'anonymous') return new CredentialsRequired({ operation, rule });
  return new AccessDenied({ operation, principal: principal.name, rule });
}

function bearer(authorization: string | undefined): string | undefined {
  if (authorization === undefined || authorization.slice(0, 7).toLowerCase() !== 'bearer ') return undefined;
  return authorization.slice(7).trim();
}

/** The operation of a gRPC path, `/service/Method`. */
export function grpcOperation(path: string): string {
  return path.slice(1);
}

/**
 * The operation of an HTTP request. The path is decoded as plugins decode it, so that `%6Coad` is no way around a rule
 * about `load`; what does not decode stays as it is and is for the plugin to refuse.
 */
export function httpOperation(method: string, pathname: string): string {
  return `http:${method.toUpperCase()} ${decoded(pathname)}`;
}

function decoded(pathname: string): string {
  try {
    return decodeURIComponent(pathname);
  } catch {
    return pathname;
  }
}
