import { lookup as resolve, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { Agent, buildConnector, fetch } from 'undici';
import { isDeclaredError } from '../../sdk/index.ts';
import { type AddressRights, checkAddress } from './checked-address.ts';

/** Longest time to connect, in milliseconds. */
const CONNECT_MS = 10_000;

/** Resolves a name to all its addresses; tests bring their own. */
export type Resolve = (
  host: string,
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** Input of {@link createFetch}. */
export interface FetchParts extends AddressRights {
  readonly signal: AbortSignal;
  readonly resolve?: Resolve;
}

/**
 * Makes the `fetch` of one instance, which reaches only the hosts it was granted.
 *
 * @remarks Every connection is checked where it is made, by name and by the address that is then connected to, so neither
 * a redirect nor a name that changes its address (DNS rebinding) leads elsewhere. There is no proxy and no cookie jar.
 */
export function createFetch(parts: FetchParts): {
  fetch: (input: string | URL, init?: RequestInit) => Promise<Response>;
  close: () => Promise<void>;
} {
  const agent = new Agent({ connect: guardedConnector(parts) });
  const guardedFetch = async (input: string | URL, init: RequestInit = {}): Promise<Response> => {
    const url = new URL(input);
    if (!/^https?:$/.test(url.protocol)) parts.guard.deny('network', url.href);
    // Asked for each call, also where a connection is open already, so that every use counts.
    parts.guard.require('network', targetOf(url.hostname, url.protocol, url.port));
    // Always a signal of its own: undici sets limits on it that Node 20 refuses on one whose limits were set before.
    const signal = AbortSignal.any([parts.signal, init.signal ?? parts.signal]);
    try {
      // undici's own types and those of the platform describe the same standard.
      const answer = await fetch(url, { ...init, signal, dispatcher: agent } as Parameters<typeof fetch>[1]);
      return answer as unknown as Response;
    } catch (error) {
      throw declaredCause(error) ?? error;
    }
  };
  return { fetch: guardedFetch, close: () => agent.destroy() };
}

/** `fetch` wraps what goes wrong on the way; a denial must not look like a broken network. */
function declaredCause(error: unknown): Error | undefined {
  const cause = error instanceof Error ? error.cause : undefined;
  return isDeclaredError(cause) ? cause : undefined;
}

function targetOf(host: string, protocol: string, port: string): string {
  const name = host.toLowerCase().replace(/\.$/, '');
  return `${name}:${port === '' ? (protocol === 'https:' ? '443' : '80') : port}`;
}

function guardedConnector(parts: FetchParts): ReturnType<typeof buildConnector> {
  return (options, done) => {
    const target = targetOf(options.hostname, options.protocol, options.port);
    const host = options.hostname.replace(/^\[|\]$/g, '');
    try {
      parts.guard.require('network', target);
      // An address in the URL is not looked up, so it is checked here.
      if (isIP(host) !== 0) checkAddress(parts, target, host);
    } catch (error) {
      done(error as Error, null);
      return;
    }
    buildConnector({ timeout: CONNECT_MS, lookup: guardedLookup(parts, target) })(options, done);
  };
}

/** Resolves once and hands out only checked addresses: what is connected to is what was checked. */
function guardedLookup(parts: FetchParts, target: string): LookupFunction {
  const { resolve: ask = resolveAll } = parts;
  return (host, { all }, done) => {
    ask(host, (error, addresses) => {
      const [first] = addresses;
      if (error !== null || first === undefined) {
        done(error ?? new Error(`${host} has no address.`), '', 0);
        return;
      }
      try {
        for (const { address } of addresses) checkAddress(parts, target, address);
      } catch (problem) {
        done(problem as NodeJS.ErrnoException, '', 0);
        return;
      }
      if (all === true) done(null, addresses);
      else done(null, first.address, first.family);
    });
  };
}

const resolveAll: Resolve = (host, done) => resolve(host, { all: true }, done);
