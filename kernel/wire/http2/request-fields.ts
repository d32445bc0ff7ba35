import type { HeaderBlock } from './protocol.ts';

/** Pseudo fields of a request, RFC 9113 section 8.3.1; the first three must be there. */
const PSEUDO: ReadonlySet<string> = new Set([':method', ':scheme', ':path', ':authority']);

/** Fields of HTTP/1 that belong to one connection, section 8.2.2. */
const OF_HTTP1: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

/** Whether the fields of a request are those of one; their order and number were checked when they were read. */
export function isRequest(block: HeaderBlock): boolean {
  const { [':method']: method, [':scheme']: scheme, [':path']: path, te } = block;
  if (method === undefined || scheme === undefined || path === undefined || path === '') return false;
  if (te !== undefined && te !== 'trailers') return false;
  return Object.keys(block).every((name) => (name.startsWith(':') ? PSEUDO.has(name) : !OF_HTTP1.has(name)));
}

/** Trailers must not have any. */
export function hasPseudoFields(block: HeaderBlock): boolean {
  return Object.keys(block).some((name) => name.startsWith(':'));
}
