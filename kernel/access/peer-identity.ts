import { type BlockList, isIP } from 'node:net';
import type { Evidence, Principal } from './principal.ts';
import { Rule } from './rule.ts';

/** Longest SPIFFE id, in characters (SPIFFE-ID, section 2.3: 2048 bytes). */
const MAX_ID = 2048;

/** Scheme, trust domain, path of allowed characters without empty, `.` or `..` segments (SPIFFE-ID, section 2). */
const SPIFFE_ID = /^spiffe:\/\/[a-z0-9._-]{1,255}(\/(?!\.{1,2}(\/|$))[A-Za-z0-9._-]+)*$/;

/**
 * The SPIFFE id among the alternative names of a verified certificate, as Node prints them
 * (`URI:spiffe://…, DNS:…`). An X509-SVID holds exactly one URI (X509-SVID, section 2); with another number, or one
 * that Node had to quote because it contains a separator, there is none.
 */
export function spiffeIdOf(subjectAltName: string): string | undefined {
  if (subjectAltName.includes('"')) return undefined;
  const uris = subjectAltName
    .split(', ')
    .filter((name) => name.startsWith('URI:'))
    .map((name) => name.slice('URI:'.length));
  const [id] = uris;
  return uris.length === 1 && id !== undefined && isSpiffeId(id) ? id : undefined;
}

function isSpiffeId(text: string): boolean {
  return text.length <= MAX_ID && SPIFFE_ID.test(text);
}

/**
 * The peer that a sidecar names: Envoy's `x-forwarded-client-cert` (its last element is what the sidecar itself saw;
 * those before it were sent by others), else Linkerd's `l5d-client-id`.
 */
function forwardedId(evidence: Evidence): string | undefined {
  const forwarded = evidence.header('x-forwarded-client-cert');
  if (forwarded !== undefined) {
    const last = splitUnquoted(forwarded, ',').at(-1) ?? '';
    const uris = splitUnquoted(last, ';')
      .filter((pair) => /^\s*URI=/i.test(pair))
      .map((pair) =>
        pair
          .slice(pair.indexOf('=') + 1)
          .replaceAll('"', '')
          .trim(),
      );
    const [id] = uris;
    return uris.length === 1 && id !== undefined && isSpiffeId(id) ? id : undefined;
  }
  const linkerd = evidence.header('l5d-client-id');
  return linkerd !== undefined && isSpiffeId(linkerd) ? linkerd : undefined;
}

function splitUnquoted(text: string, separator: string): string[] {
  const parts: string[] = [];
  let from = 0;
  let isQuoted = false;
  for (let index = 0; index < text.length; index += 1) {
    if (text[index] === '\\') index += 1;
    else if (text[index] === '"') isQuoted = !isQuoted;
    else if (text[index] === separator && !isQuoted) {
      parts.push(text.slice(from, index));
      from = index + 1;
    }
  }
  return [...parts, text.slice(from)];
}

/** Roles of peers by their SPIFFE id. */
export class Peers {
  readonly #rules: readonly { readonly rule: Rule; readonly grants: readonly string[] }[];
  readonly #sidecars: BlockList;
  readonly #hasSidecars: boolean;

  constructor(peers: Readonly<Record<string, readonly string[]>>, sidecars: BlockList) {
    this.#rules = Object.entries(peers).map(([id, grants]) => ({ rule: new Rule(id), grants }));
    this.#sidecars = sidecars;
    this.#hasSidecars = sidecars.rules.length > 0;
  }

  /** Whether the connection comes from a trusted proxy. */
  isSidecar(evidence: Evidence): boolean {
    if (!this.#hasSidecars) return false;
    const peer = evidence.peer();
    const address = peer
      .slice(0, Math.max(0, peer.lastIndexOf(':')))
      .replace(/^\[|\]$/g, '')
      .replace(/^::ffff:/, '');
    const version = isIP(address);
    return version !== 0 && this.#sidecars.check(address, version === 4 ? 'ipv4' : 'ipv6');
  }

  /** Who the connection, or a proxy that is trusted, says is calling; `undefined` when that is nobody we know. */
  principal(evidence: Evidence): Principal | undefined {
    if (this.#rules.length === 0) return undefined;
    const names = evidence.certificateNames();
    const forwarded = this.isSidecar(evidence) ? forwardedId(evidence) : undefined;
    const id = forwarded ?? (names === undefined ? undefined : spiffeIdOf(names));
    return id === undefined ? undefined : this.byId(id);
  }

  byId(id: string): Principal | undefined {
    const found = this.#rules.find(({ rule }) => rule.matches(id));
    return found === undefined ? undefined : { kind: 'peer', name: `peer:${id}`, grants: found.grants };
  }
}
