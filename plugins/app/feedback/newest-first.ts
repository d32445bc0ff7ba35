import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { Feedback } from 'lamella/proto/lamella/app/v1/feedback_service';
import { FeedbackInvalid } from './errors.ts';
import { feedbackNumber } from './feedback-store.ts';

const DEFAULT_PAGE_SIZE = 100;
const MAX_PAGE_SIZE = 1_000;

const TOKEN = /^\d{15}\/\d{12}\/[\w.-]{1,128}$/;

/** Sorts behind every place, which begins with a digit. */
const AFTER_ALL = '~';

/** One page of feedback. */
export interface FeedbackPage {
  readonly feedback: Feedback[];
  readonly nextPageToken: string;
}

/**
 * Reads a page of feedback, newest first, holding no more than about two pages in memory.
 *
 * @remarks A token is a place in the order, not an entry: deleting entries between two pages loses none.
 * @throws FEEDBACK_INVALID for a page token of another make.
 */
export async function newestFirst(
  feedback: AsyncIterable<Feedback>,
  { pageSize, pageToken }: { readonly pageSize: number; readonly pageToken: string },
): Promise<FeedbackPage> {
  const before = checkToken(pageToken);
  const size = pageSize <= 0 ? DEFAULT_PAGE_SIZE : Math.min(pageSize, MAX_PAGE_SIZE);
  let kept: { readonly place: string; readonly item: Feedback }[] = [];
  const cut = (): void => {
    kept = kept.toSorted((one, other) => (one.place < other.place ? 1 : -1)).slice(0, size + 1);
  };
  for await (const item of feedback) {
    const place = placeOf(item);
    if (place < before) kept.push({ place, item });
    if (kept.length > 2 * size + 2) cut();
  }
  cut();
  const page = kept.slice(0, size);
  return {
    feedback: page.map(({ item }) => item),
    nextPageToken: kept.length > size ? (page.at(-1)?.place ?? '') : '',
  };
}

/** Place before which the page begins. */
function checkToken(pageToken: string): string {
  if (pageToken === '') return AFTER_ALL;
  if (TOKEN.test(pageToken)) return pageToken;
  throw new FeedbackInvalid({ problem: 'page_token must be the next_page_token of the answer before' });
}

/** Place in the order of time; the number decides between feedback of the same millisecond. */
function placeOf(item: Feedback): string {
  const timeMs = item.createTime === undefined ? 0 : timestampMs(item.createTime);
  return [String(timeMs).padStart(15, '0'), String(feedbackNumber(item)).padStart(12, '0'), item.model].join(
    '/',
  );
}
