import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import {
  type Feedback,
  FeedbackSchema,
  type RecordFeedbackRequest,
} from 'lamella/proto/lamella/app/v1/feedback_service';
import type { Clock, Storage } from 'lamella/sdk';
import { FeedbackInvalid, FeedbackNotFound } from './errors.ts';

/** Digits of a feedback number in its key, so that keys sort by number. */
const NUMBER_DIGITS = 12;

const NAME = /^models\/([\w.-]{1,128})\/feedback\/(\d{1,12})$/;
const MODEL = /^(?!-$)[\w.-]{1,128}$/;

/** Characters of a request id, which becomes part of a storage key. */
const MAX_REQUEST_ID = 200;

/** @throws FEEDBACK_INVALID */
export function checkModel(model: string): void {
  if (!MODEL.test(model)) {
    throw new FeedbackInvalid({
      problem: `'${model.slice(0, 128)}' is not a model name; one has 1 to 128 letters, digits, '_', '.' and '-'`,
    });
  }
}

/** Feedback in the plugin's storage, one entry each; nothing is ever changed in place. */
export class FeedbackStore {
  readonly #storage: Storage;
  readonly #clock: Clock;
  /** Numbers are given out one after another, also to calls that come at once. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(storage: Storage, clock: Clock) {
    this.#storage = storage;
    this.#clock = clock;
  }

  /** Stores one feedback; a request id that was seen before returns what it stored then. */
  async record(request: RecordFeedbackRequest): Promise<Feedback> {
    const stored = this.#queue.then(() => this.#record(request));
    this.#queue = stored.catch(() => undefined);
    return stored;
  }

  async #record(request: RecordFeedbackRequest): Promise<Feedback> {
    const { model, requestId } = request;
    checkModel(model);
    if (requestId.length > MAX_REQUEST_ID) {
      throw new FeedbackInvalid({ problem: `request_id is longer than ${MAX_REQUEST_ID} characters` });
    }
    const requestKey = `request/${model}/${requestId}`;
    const known = requestId === '' ? undefined : await this.#storage.get<string>(requestKey);
    if (known !== undefined) return this.get(known);
    const number = ((await this.#storage.get<number>(`count/${model}`)) ?? 0) + 1;
    const feedback = create(FeedbackSchema, {
      name: `models/${model}/feedback/${number}`,
      model,
      modelVersion: request.modelVersion,
      predicted: request.predicted,
      correct: request.correct,
      createTime: timestampFromMs(this.#clock.now()),
      ...(request.input === undefined ? {} : { input: request.input }),
    });
    // The number is used up first: a kill between the writes leaves a gap, never a feedback written over.
    await this.#storage.put(`count/${model}`, number);
    await this.#storage.put(key(model, number), toBinary(FeedbackSchema, feedback));
    if (requestId !== '') await this.#storage.put(requestKey, feedback.name);
    return feedback;
  }

  /** @throws FEEDBACK_NOT_FOUND */
  async get(name: string): Promise<Feedback> {
    const bytes = await this.#storage.get<Uint8Array>(keyOf(name));
    if (bytes === undefined) throw new FeedbackNotFound({ name });
    return fromBinary(FeedbackSchema, bytes);
  }

  /** @throws FEEDBACK_NOT_FOUND */
  async delete(name: string): Promise<void> {
    if (!(await this.#storage.delete(keyOf(name)))) throw new FeedbackNotFound({ name });
  }

  /** Remembers that a training has looked at all feedback up to this number. */
  async markUsed(model: string, number: number): Promise<void> {
    if (number > (await this.#used(model))) await this.#storage.put(`used/${model}`, number);
  }

  /** Counts the feedback that came after the last training. */
  async countPending(model: string): Promise<bigint> {
    const used = await this.#used(model);
    let pending = 0n;
    for await (const feedback of this.list(model)) if (feedbackNumber(feedback) > used) pending += 1n;
    return pending;
  }

  async #used(model: string): Promise<number> {
    return (await this.#storage.get<number>(`used/${model}`)) ?? 0;
  }

  /** All feedback of a model, or of every model without one, oldest first within a model. */
  async *list(model?: string): AsyncGenerator<Feedback> {
    for await (const { value } of this.#storage.range(
      model === undefined ? 'feedback/' : `feedback/${model}/`,
    )) {
      yield fromBinary(FeedbackSchema, value as Uint8Array);
    }
  }
}

/** Number of a feedback within its model. */
export function feedbackNumber(feedback: Feedback): number {
  return Number(NAME.exec(feedback.name)?.[2] ?? 0);
}

function keyOf(name: string): string {
  const match = NAME.exec(name);
  if (match === null) throw new FeedbackNotFound({ name });
  return key(match[1] ?? '', Number(match[2]));
}

function key(model: string, number: number): string {
  return `feedback/${model}/${String(number).padStart(NUMBER_DIGITS, '0')}`;
}
