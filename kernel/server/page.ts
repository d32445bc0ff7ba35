import { PageTokenInvalid } from '../errors.ts';

/** Which page of a sorted list is wanted. */
export interface PageRequest<Item> {
  /** Wanted size; 0 takes {@link DEFAULT_PAGE_SIZE}, more than {@link MAX_PAGE_SIZE} is cut. */
  readonly pageSize: number;
  /** Token of the previous answer, empty for the first page. */
  readonly pageToken: string;
  /** Sort key of an item; it must be unique. */
  readonly key: (item: Item) => string;
}

const DEFAULT_PAGE_SIZE = 100;
const MAX_PAGE_SIZE = 1_000;

/**
 * Cuts one page out of a list sorted by key. The token is the last key seen, so that items that come and go between
 * two pages neither repeat nor hide others.
 *
 * @throws PAGE_TOKEN_INVALID
 */
export function pageOf<Item>(
  sorted: readonly Item[],
  { pageSize, pageToken, key }: PageRequest<Item>,
): { items: Item[]; nextPageToken: string } {
  const after = pageToken === '' ? undefined : decode(pageToken);
  const size = pageSize <= 0 ? DEFAULT_PAGE_SIZE : Math.min(pageSize, MAX_PAGE_SIZE);
  const rest = after === undefined ? sorted : sorted.filter((item) => key(item) > after);
  const items = rest.slice(0, size);
  const last = items.at(-1);
  const hasMore = rest.length > items.length && last !== undefined;
  return { items, nextPageToken: hasMore ? Buffer.from(key(last)).toString('base64url') : '' };
}

function decode(token: string): string {
  if (!/^[\w-]{1,512}$/.test(token)) throw new PageTokenInvalid({ token: token.slice(0, 64) });
  return Buffer.from(token, 'base64url').toString();
}
