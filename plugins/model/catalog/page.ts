import { PageInvalid } from './errors.ts';

/** A part of a list. */
export interface Page<Item> {
  readonly items: readonly Item[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

/** How a list is cut. */
export interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

const DEFAULT_SIZE = 100;
const MAX_SIZE = 1_000;

/**
 * Cuts one page out of a list that is sorted by ascending key.
 *
 * @remarks The token holds the key of the last item, so that what comes or goes between two pages moves nothing else.
 * @throws PAGE_INVALID
 */
export function pageOf<Item>(
  sorted: readonly Item[],
  keyOf: (item: Item) => string,
  { pageSize, pageToken }: PageRequest,
): Page<Item> {
  if (pageSize < 0 || pageSize > MAX_SIZE) {
    throw new PageInvalid({ detail: `page_size ${pageSize} is outside 0 to ${MAX_SIZE}` });
  }
  const after = decodeToken(pageToken);
  const rest = after === undefined ? sorted : sorted.filter((item) => keyOf(item) > after);
  const items = rest.slice(0, pageSize === 0 ? DEFAULT_SIZE : pageSize);
  const last = items.at(-1);
  const isLast = items.length === rest.length || last === undefined;
  return { items, nextPageToken: isLast ? '' : Buffer.from(`k${keyOf(last)}`).toString('base64url') };
}

function decodeToken(token: string): string | undefined {
  if (token === '') return undefined;
  const text = Buffer.from(token, 'base64url').toString('utf8');
  if (!text.startsWith('k') || Buffer.from(text).toString('base64url') !== token) {
    throw new PageInvalid({ detail: 'page_token is not one that this list gave' });
  }
  return text.slice(1);
}
