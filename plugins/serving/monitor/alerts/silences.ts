import { randomUUID } from 'node:crypto';
import type { Storage } from 'lamella/sdk';
import { MonitorRequestInvalid, SilencesFull } from '../errors.ts';
import type { LabelMatcher } from '../promql/label-matcher.ts';
import type { SeriesLabels } from '../promql/labels.ts';
import { fits, parseMatchers } from '../promql/parse-matchers.ts';

/** A time in which nobody is told of some alerts. */
export interface Silence {
  /** `silences/{id}`. */
  readonly name: string;
  /** Labels of the alerts, for example `{alertname="InferenceErrorsHigh"}`. */
  readonly matchers: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly creator: string;
  readonly comment: string;
}

const PREFIX = 'silence/';
const MAX_SILENCES = 1_000;
const MAX_TEXT_LENGTH = 1_000;
const MAX_MATCHERS_LENGTH = 2_000;

/** Longest silence: one year. */
const MAX_DURATION_MS = 366 * 86_400_000;

/** The silences; those that are over are removed. */
export class Silences {
  readonly #storage: Storage;
  readonly #silences: Map<string, { readonly silence: Silence; readonly matchers: readonly LabelMatcher[] }> =
    new Map();

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** Reads what is kept; call once before anything else. */
  async load(): Promise<void> {
    for await (const { value } of this.#storage.range(PREFIX)) this.#keep(value as Silence);
  }

  /** Silences that hold or will hold. */
  list(): Silence[] {
    return [...this.#silences.values()].map(({ silence }) => silence);
  }

  /** Silences that hold now for these labels. */
  of(labels: SeriesLabels, nowMs: number): Silence[] {
    return [...this.#silences.values()]
      .filter(
        ({ silence, matchers }) =>
          silence.startMs <= nowMs && nowMs < silence.endMs && fits(matchers, labels),
      )
      .map(({ silence }) => silence);
  }

  /** Adds a silence. @throws MONITOR_REQUEST_INVALID, SILENCES_FULL */
  async create(wanted: Omit<Silence, 'name'>, nowMs: number): Promise<Silence> {
    check(
      'silence.end_time',
      wanted.endMs > wanted.startMs && wanted.endMs > nowMs,
      'it is not after now and the start',
    );
    check(
      'silence.end_time',
      wanted.endMs - wanted.startMs <= MAX_DURATION_MS,
      'it is more than a year after the start',
    );
    check(
      'silence.creator',
      wanted.creator.length <= MAX_TEXT_LENGTH,
      `it is longer than ${MAX_TEXT_LENGTH}`,
    );
    check(
      'silence.comment',
      wanted.comment.length <= MAX_TEXT_LENGTH,
      `it is longer than ${MAX_TEXT_LENGTH}`,
    );
    check(
      'silence.matchers',
      wanted.matchers.length <= MAX_MATCHERS_LENGTH,
      `it is longer than ${MAX_MATCHERS_LENGTH}`,
    );
    if (this.#silences.size >= MAX_SILENCES) throw new SilencesFull({ limit: String(MAX_SILENCES) });
    const silence = { ...wanted, name: `silences/${randomUUID()}` };
    this.#keep(silence);
    try {
      await this.#storage.put(PREFIX + silence.name, silence);
    } catch (error) {
      this.#silences.delete(silence.name);
      throw error;
    }
    return silence;
  }

  /** Ends a silence if there is one. */
  async delete(name: string): Promise<void> {
    await this.#storage.delete(PREFIX + name.slice(0, 100));
    this.#silences.delete(name);
  }

  /** Removes silences that are over. */
  async forgetOld(nowMs: number): Promise<void> {
    const over = this.list().filter(({ endMs }) => endMs <= nowMs);
    for (const { name } of over) await this.delete(name);
  }

  #keep(silence: Silence): void {
    try {
      this.#silences.set(silence.name, { silence, matchers: parseMatchers(silence.matchers) });
    } catch (error) {
      check('silence.matchers', false, (error as Error).message);
    }
  }
}

function check(field: string, isValid: boolean, problem: string): void {
  if (isValid) return;
  throw new MonitorRequestInvalid({ field, problem }, { violations: [{ field, description: problem }] });
}
