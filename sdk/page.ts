import { Code } from './status-code.ts';
import { defineError, type ErrorType } from './errors.ts';

/** A page of a list was asked for in a way that has no answer. */
export const PageInvalid: ErrorType<'problem'> = defineError({
  reason: 'PAGE_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ problem }) => `${problem}; ask with the next_page_token of the answer before, or without one.`,
});

/** A part of a list. */
export interface Page<Item> {
  /** Items in ascending order of their keys. */
  readonly items: Item[];
  /** What the next request sends as `page_token`; empty on the last page. */
  readonly nextPageToken: string;
}

/** The paging fields of a list request (AIP-158). */
export interface PageRequest {
  /** Most items wanted; 0 means 100, and more than 1,000 count as 1,000. */
  readonly pageSize: number;
  /** `next_page_token` of the answer before; empty for the first page. */
  readonly pageToken: string;
}

const DEFAULT_SIZE = 100;
const MAX_SIZE = 1_000;

/** Longest token that is looked at, in characters; a key is a name. */
const MAX_TOKEN_LENGTH = 2_048;

/**
 * Cuts one page out of a list that fits into memory.
 *
 * @remarks The token holds the key of the last item, so that what comes or goes between two pages neither repeats nor
 * hides anything else.
 * @param keyOf Unique key of an item; pages follow its ascending order.
 * @throws PAGE_INVALID
 */
export function pageOf<Item>(
  list: readonly Item[],
  keyOf: (item: Item) => string,
  { pageSize, pageToken }: PageRequest,
): Page<Item> {
  if (pageSize < 0) throw new PageInvalid({ problem: `page_size ${pageSize} is negative` });
  const after = decodeToken(pageToken);
  const keyed = list.map((item) => ({ key: keyOf(item), item }));
  const rest = (after === undefined ? keyed : keyed.filter(({ key }) => key > after)).toSorted((one, other) =>
    one.key < other.key ? -1 : 1,
  );
  const page = rest.slice(0, pageSize === 0 ? DEFAULT_SIZE : Math.min(pageSize, MAX_SIZE));
  const last = page.at(-1);
  const isLast = page.length === rest.length || last === undefined;
  return {
    items: page.map(({ item }) => item),
    nextPageToken: isLast ? '' : Buffer.from(`k${last.key}`).toString('base64url'),
  };
}

function decodeToken(token: string): string | undefined {
  if (token === '') return undefined;
  const text = token.length > MAX_TOKEN_LENGTH ? '' : Buffer.from(token, 'base64url').toString('utf8');
  if (!text.startsWith('k') || Buffer.from(text).toString('base64url') !== token) {
    throw new PageInvalid({ problem: 'page_token is not one that this list gave' });
  }
  return text.slice(1);
}
