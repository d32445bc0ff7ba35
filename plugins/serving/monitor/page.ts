import { MonitorPageTokenInvalid } from './errors.ts';

const DEFAULT_SIZE = 100;
const LARGEST_SIZE = 1_000;

/** One page of a list that fits into memory; the token is the position of the next item. @throws PAGE_TOKEN_INVALID */
export function page<Item>(
  items: readonly Item[],
  request: { readonly pageSize: number; readonly pageToken: string },
): { readonly items: readonly Item[]; readonly nextPageToken: string } {
  const start = request.pageToken === '' ? 0 : Number(request.pageToken);
  if (!/^[0-9]{0,9}$/.test(request.pageToken)) throw new MonitorPageTokenInvalid({});
  const size = request.pageSize > 0 ? Math.min(request.pageSize, LARGEST_SIZE) : DEFAULT_SIZE;
  const end = start + size;
  return { items: items.slice(start, end), nextPageToken: end < items.length ? String(end) : '' };
}
