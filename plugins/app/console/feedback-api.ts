import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { Feedback, FeedbackService } from 'lamella/proto/lamella/app/v1/feedback_service';
import type { CallOptions, Client } from 'lamella/sdk';
import { invalid, type JsonObject, readJsonObject } from './json-http.ts';

/** Side of a digit image in pixels. */
const SIDE = 28;
const PIXELS = SIDE * SIDE;
/** Entries the page shows. */
const SHOWN = 24;
const PAGE_SIZE = 1_000;
/** Counting stops here, so that one request cannot read without end. */
const MAX_PAGES = 20;

const MODEL = /^[a-z0-9][a-z0-9._-]{0,62}$/;
const CLASS = /^\d{1,4}$/;
const SHORT = /^[\w./:-]{0,200}$/;

/** One feedback as the page shows it. */
export interface FeedbackView {
  readonly name: string;
  readonly modelVersion: string;
  readonly predicted: string;
  readonly correct: string;
  /** Pixels in base64, 0 is paper and 255 is ink. */
  readonly pixels: string;
  /** Milliseconds since the epoch. */
  readonly timeMs: number | undefined;
}

/** Newest feedback of a model, and how many there are. */
export interface FeedbackList {
  readonly count: number;
  /** True when there are more than were counted. */
  readonly more: boolean;
  readonly items: readonly FeedbackView[];
}

/** Stores what a person said about a drawing. */
export async function recordFeedback(
  service: Client<typeof FeedbackService>,
  request: Request,
  options: CallOptions,
): Promise<FeedbackView | undefined> {
  const body = await readJsonObject(request);
  const { feedback } = await service.recordFeedback(
    {
      model: modelOf(body['model']),
      modelVersion: textOf(body, 'modelVersion', SHORT),
      predicted: body['predicted'] === undefined ? '' : classOf(body, 'predicted'),
      correct: classOf(body, 'correct'),
      requestId: textOf(body, 'requestId', SHORT),
      input: {
        name: 'image',
        datatype: 'UINT8',
        shape: [BigInt(SIDE), BigInt(SIDE)],
        data: pixelsOf(body['pixels']),
      },
    },
    options,
  );
  return feedback === undefined ? undefined : feedbackView(feedback);
}

/** Lists the newest feedback and counts all. */
export async function listFeedback(
  service: Client<typeof FeedbackService>,
  model: string,
  options: CallOptions,
): Promise<FeedbackList> {
  const items: FeedbackView[] = [];
  let count = 0;
  let pageToken = '';
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const answer = await service.listFeedback(
      { parent: `models/${model}`, pageSize: PAGE_SIZE, pageToken },
      options,
    );
    count += answer.feedback.length;
    if (page === 0) items.push(...answer.feedback.slice(0, SHOWN).map(feedbackView));
    pageToken = answer.nextPageToken;
    if (pageToken === '') break;
  }
  return { count, more: pageToken !== '', items };
}

/** @throws CONSOLE_REQUEST_INVALID unless it is a model's id. */
export function modelOf(value: unknown): string {
  if (typeof value === 'string' && MODEL.test(value)) return value;
  throw invalid(`'model' must be a model's id, for example digits`);
}

function feedbackView(feedback: Feedback): FeedbackView {
  const { name, modelVersion, predicted, correct, input, createTime } = feedback;
  return {
    name,
    modelVersion,
    predicted,
    correct,
    pixels: Buffer.from(input?.data ?? []).toString('base64'),
    timeMs: createTime === undefined ? undefined : timestampMs(createTime),
  };
}

function classOf(body: JsonObject, key: string): string {
  const value = body[key];
  const text = typeof value === 'number' ? String(value) : value;
  if (typeof text === 'string' && CLASS.test(text)) return text;
  throw invalid(`'${key}' must be a class, for example 7`);
}

function textOf(body: JsonObject, key: string, pattern: RegExp): string {
  const value = body[key] ?? '';
  if (typeof value === 'string' && pattern.test(value)) return value;
  throw invalid(`'${key}' must be a short name`);
}

/** Base64 or a list of numbers. */
function pixelsOf(value: unknown): Uint8Array {
  if (typeof value === 'string' && /^[A-Za-z0-9+/]+={0,2}$/.test(value)) {
    const bytes = Buffer.from(value, 'base64');
    if (bytes.byteLength === PIXELS) return bytes;
  }
  if (Array.isArray(value) && value.length === PIXELS && value.every(isByte)) return Uint8Array.from(value);
  throw invalid(`'pixels' must be ${PIXELS} bytes, as base64 or as a list of numbers from 0 to 255`);
}

function isByte(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 255;
}
