const LOOPBACK = /^(localhost|127(?:\.\d{1,3}){3}|\[?::1\]?)$/i;

/** Tells whether an address to listen on, or to call, is reachable from this machine only. */
export function isLoopbackAddress(host: string): boolean {
  return LOOPBACK.test(host);
}
