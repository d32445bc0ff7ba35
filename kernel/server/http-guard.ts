import type { IncomingMessage } from 'node:http';
import { HttpHostRefused, HttpOriginRefused } from './http-errors.ts';

/** Who may call the HTTP listener from a browser. */
export interface HttpGuardOptions {
  /** Host names that requests may carry, without port; `*` takes all. Names of the loopback are always taken. */
  readonly allowedHosts: readonly string[];
  /** Origins of web pages that may send more than GET, for example `https://app.example`; `*` takes all. */
  readonly allowedOrigins: readonly string[];
}

const LOOPBACK = /^(localhost|.+\.localhost|127(?:\.\d{1,3}){3}|\[::1\])$/i;
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Keeps web pages away from a listener without passwords on the loopback: a rebound DNS name is known by its Host
 * header, a form or fetch of another site by its Origin.
 *
 * @throws HTTP_HOST_REFUSED, HTTP_ORIGIN_REFUSED
 */
export function checkBrowser(incoming: IncomingMessage, url: URL, options: HttpGuardOptions): void {
  const { hostname } = url;
  if (!LOOPBACK.test(hostname) && !allows(options.allowedHosts, hostname)) {
    throw new HttpHostRefused({ host: hostname.slice(0, 253) });
  }
  const { origin } = incoming.headers;
  if (origin === undefined || SAFE_METHODS.has(incoming.method ?? 'GET')) return;
  if (!isSameHost(origin, url) && !allows(options.allowedOrigins, origin)) {
    throw new HttpOriginRefused({ origin: origin.slice(0, 253) });
  }
}

function allows(list: readonly string[], value: string): boolean {
  return list.includes('*') || list.includes(value);
}

function isSameHost(origin: string, url: URL): boolean {
  return URL.canParse(origin) && new URL(origin).host === url.host;
}
