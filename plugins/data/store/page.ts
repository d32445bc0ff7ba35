import { StorePageTokenInvalid } from './errors.ts';

const DEFAULT_PAGE_SIZE = 100;
const MAX_PAGE_SIZE = 1_000;

/** One page of a list; the token is the name of the last item seen. @throws STORE_PAGE_TOKEN_INVALID */
export function page<Item extends { readonly name: string }>(
  items: readonly Item[],
  { pageSize, pageToken }: { readonly pageSize: number; readonly pageToken: string },
): { items: Item[]; nextPageToken: string } {
  const size = pageSize <= 0 ? DEFAULT_PAGE_SIZE : Math.min(pageSize, MAX_PAGE_SIZE);
  const start = pageToken === '' ? 0 : items.findIndex(({ name }) => name === pageToken) + 1;
  if (pageToken !== '' && start === 0) throw new StorePageTokenInvalid({});
  const found = items.slice(start, start + size);
  const isLast = start + size >= items.length;
  return { items: found, nextPageToken: isLast ? '' : (found.at(-1)?.name ?? '') };
}
