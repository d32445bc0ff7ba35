import { StatusError } from '../status-error.ts';

const HEADER = 'grpc-retry-pushback-ms';

/**
 * What a server said about trying again: the delay in milliseconds, `Infinity` for never, `undefined` for nothing.
 *
 * @remarks Anything that is not a delay means never (gRFC A6). Only servers push back: what the link itself suggests to
 * callers is about this kernel's address, not about the others.
 */
export function pushbackOf(error: unknown): number | undefined {
  const text = error instanceof StatusError ? error.trailers.get(HEADER) : undefined;
  if (text === undefined) return undefined;
  return typeof text === 'string' && /^\d{1,9}$/.test(text) ? Number(text) : Infinity;
}
