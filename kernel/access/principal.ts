/** How a caller is known. */
export type PrincipalKind = 'anonymous' | 'owner' | 'key' | 'jwt' | 'peer' | 'role';

/** A caller as access decisions see it. Plugins of this kernel are not among them: their manifest says what they may. */
export interface Principal {
  readonly kind: PrincipalKind;
  /** Name in logs, limits and audit events, for example `key:ci`; never a secret. */
  readonly name: string;
  /** Role names, or single rules such as `inference.GRPCInferenceService/*`. */
  readonly grants: readonly string[];
}

/** What a transport knows of a caller; read only when needed. */
export interface Evidence {
  /** Value of a header by its lower-case name; several are joined by a comma. */
  header(name: string): string | undefined;
  /** Subject alternative names of a verified client certificate, as Node writes them. */
  certificateNames(): string | undefined;
  /** Address of the connection, `host:port`. */
  peer(): string;
}

/** Everything that a caller sent to prove itself, so that no plugin sees it. */
export const CREDENTIAL_HEADERS: readonly string[] = ['authorization', 'x-api-key'];

/** Identities that a proxy vouches for. */
export const FORWARDED_HEADERS: readonly string[] = ['x-forwarded-client-cert', 'l5d-client-id'];
