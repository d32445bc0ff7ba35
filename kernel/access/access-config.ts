import { type TSchema, Type } from '../../sdk/index.ts';
import type { RateLimit } from './rate-limits.ts';

/** Signature algorithms by public key. Those with a shared secret are left out on purpose, and `none` is no signature. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];

const Strict = { additionalProperties: false };

const RateLimitSchema: TSchema = Type.Object(
  {
    perSecond: Type.Number({ exclusiveMinimum: 0, description: 'Calls a second in the long run.' }),
    burst: Type.Integer({ minimum: 1, description: 'Calls at once.' }),
  },
  Strict,
);

const Grants: TSchema = Type.Array(Type.String(), { minItems: 1 });

const JwtSchema: TSchema = Type.Object(
  {
    issuer: Type.String({ minLength: 1, description: 'Value that `iss` must have.' }),
    audience: Type.String({ minLength: 1, description: 'Value that `aud` must have or hold.' }),
    jwks: Type.String({
      minLength: 1,
      description: 'File or https URL of the JSON Web Key Set; http on the loopback only.',
    }),
    algorithms: Type.Array(Type.Union(ALGORITHMS.map((name) => Type.Literal(name))), {
      default: ['RS256', 'PS256', 'ES256', 'EdDSA'],
      minItems: 1,
      description: 'Signature algorithms that are accepted.',
    }),
    clockSkewSeconds: Type.Integer({
      default: 30,
      minimum: 0,
      maximum: 300,
      description: 'Difference between clocks that is forgiven, in seconds.',
    }),
    rolesClaim: Type.String({
      default: 'roles',
      description: 'Claim that holds one value or a list of them.',
    }),
    roles: Type.Record(Type.String(), Grants, {
      default: {},
      description: 'Values of the claim to roles; `*` is for every valid token.',
    }),
  },
  Strict,
);

/** Schema of `access` in the kernel's configuration. */
export const AccessConfigSchema: TSchema = Type.Object(
  {
    anonymous: Type.Optional(
      Type.String({
        description:
          'Role of callers without credentials: `none`, `page`, `viewer`, `user`, `local`, `admin` or one of yours. Without it: `local` on the loopback, else `none`.',
      }),
    ),
    roles: Type.Record(Type.String({ pattern: '^[a-z][a-z0-9-]{0,62}$' }), Type.Array(Type.String()), {
      default: {},
      description:
        'Role name to rules in order, for example `inference.GRPCInferenceService/*`, `http:POST /v2/*`, `!*/Delete*`; the first that matches decides.',
    }),
    limits: Type.Record(Type.String(), RateLimitSchema, {
      default: {},
      description:
        'Token buckets, one for each principal, by principal (`key:ci`, `anonymous`), role, or `*`: `{ perSecond, burst }`.',
    }),
    jwt: Type.Array(JwtSchema, {
      default: [],
      description:
        'Issuers of JSON Web Tokens: `{ issuer, audience, jwks, algorithms, clockSkewSeconds, rolesClaim, roles }`.',
    }),
    peers: Type.Record(Type.String({ pattern: '^spiffe://[a-z0-9._-]+/' }), Grants, {
      default: {},
      description:
        'SPIFFE ids to roles, for example `spiffe://example.org/ns/prod/*`; the first that matches decides.',
    }),
    sidecars: Type.Array(Type.String(), {
      default: [],
      description:
        'Addresses or subnets of proxies whose `x-forwarded-client-cert` and `l5d-client-id` are believed, for example `127.0.0.1/32`.',
    }),
    auditFileBytes: Type.Integer({
      default: 10 * 1024 * 1024,
      minimum: 1024,
      description: 'Size at which `audit.jsonl` is begun anew, in bytes; four older files are kept.',
    }),
  },
  { default: {}, description: 'Who may call what; see docs/access.md.', ...Strict },
);

/** Schema of `tls` in the kernel's configuration. */
export const TlsConfigSchema: TSchema = Type.Object(
  {
    cert: Type.String({ minLength: 1, description: 'File of the certificate chain, PEM.' }),
    key: Type.String({ minLength: 1, description: 'File of the private key, PEM.' }),
    clientCa: Type.Optional(
      Type.String({
        description:
          'File of the authorities, PEM; with it every client must show a certificate of one of them.',
      }),
    ),
    reloadMs: Type.Integer({
      default: 5_000,
      minimum: 20,
      description: 'Time between two looks at the files for a new certificate, in milliseconds.',
    }),
  },
  { description: 'TLS on all listeners.', ...Strict },
);

/** One issuer of JSON Web Tokens. */
export interface JwtConfig {
  readonly issuer: string;
  readonly audience: string;
  readonly jwks: string;
  readonly algorithms: readonly string[];
  readonly clockSkewSeconds: number;
  readonly rolesClaim: string;
  readonly roles: Readonly<Record<string, readonly string[]>>;
}

/** Checked content of `access`. */
export interface AccessConfig {
  readonly anonymous?: string;
  readonly roles: Readonly<Record<string, readonly string[]>>;
  readonly limits: Readonly<Record<string, RateLimit>>;
  readonly jwt: readonly JwtConfig[];
  readonly peers: Readonly<Record<string, readonly string[]>>;
  readonly sidecars: readonly string[];
  readonly auditFileBytes: number;
}

/** Checked content of `tls`. */
export interface TlsConfig {
  readonly cert: string;
  readonly key: string;
  readonly clientCa?: string;
  readonly reloadMs: number;
}
