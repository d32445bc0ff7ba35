import type { Logger } from 'lamella/sdk';
import type { DriftConfig } from '../sample-config.ts';
import { DriftWindow } from './drift-window.ts';
import type { FeatureValues } from './feature.ts';
import { loadReference, type Reference, ReferenceMissing, type ReferenceSources } from './reference.ts';

/** How far a feature is from the training data. */
export interface FeatureDrift {
  readonly feature: string;
  readonly stabilityIndex: number;
  readonly distance: number;
  readonly isDrifted: boolean;
}

/** What a watched model works with. */
export interface WatchedModelParts {
  readonly config: DriftConfig;
  readonly sources: ReferenceSources;
  readonly log: Logger;
}

/** Time after which a reference that was not there is looked for again, in milliseconds. */
const RETRY_MS = 60_000;

/** One version of a model whose samples are compared with its training data. */
export class WatchedModel {
  readonly model: string;
  readonly modelVersion: string;
  readonly #parts: WatchedModelParts;
  readonly #given: string | undefined;
  readonly #window: DriftWindow;
  readonly #columns: Set<string> = new Set();
  #reference: Reference | undefined;
  #problem = '';
  #isLoading = false;
  #retryMs = 0;
  #hasNews = false;
  #lastRowMs = 0;
  #rows = 0;
  #evaluatedMs = 0;
  #features: readonly FeatureDrift[] = [];

  constructor(
    { model, modelVersion }: { readonly model: string; readonly modelVersion: string },
    reference: string | undefined,
    parts: WatchedModelParts,
  ) {
    this.model = model;
    this.modelVersion = modelVersion;
    this.#given = reference;
    this.#parts = parts;
    this.#window = new DriftWindow(parts.config.maxRows);
  }

  /** The features as they were at the last comparison; none before. */
  get features(): readonly FeatureDrift[] {
    return this.#features;
  }

  /** Rows in the window at the last look. */
  get rows(): number {
    return this.#rows;
  }

  /** Name of the dataset version that samples are compared with; empty while it is not known. */
  get reference(): string {
    return this.#reference?.name ?? '';
  }

  /** Time of the last comparison in milliseconds since the epoch; 0 before the first. */
  get evaluatedMs(): number {
    return this.#evaluatedMs;
  }

  /** Why there is no comparison, for people; empty when there is one. */
  get problem(): string {
    if (this.#problem !== '') return this.#problem;
    const { minimumRows } = this.#parts.config;
    return this.#rows < minimumRows ? `${this.#rows} rows are there, ${minimumRows} are needed` : '';
  }

  /** Adds the rows of a sample. */
  add(
    columns: readonly { readonly name: string }[],
    features: ReadonlyMap<string, FeatureValues>,
    { rows, timeMs }: { readonly rows: number; readonly timeMs: number },
  ): void {
    const before = this.#columns.size;
    for (const { name } of columns) this.#columns.add(name);
    // A column that comes late has its reference read, too.
    if (this.#columns.size > before) this.#reference = undefined;
    this.#window.add(rows, features, timeMs);
    this.#lastRowMs = Math.max(this.#lastRowMs, timeMs);
    this.#hasNews = true;
  }

  /** True when its window is empty: the model gets no requests any more. */
  isOver(nowMs: number): boolean {
    return nowMs - this.#lastRowMs > this.#parts.config.windowMs;
  }

  /** Compares anew if rows have come or gone. */
  evaluate(nowMs: number): void {
    const { minimumRows, threshold, windowMs } = this.#parts.config;
    if (this.#reference === undefined) return this.#load(nowMs);
    const sinceMs = nowMs - windowMs;
    const rows = this.#window.rows(sinceMs);
    if (!this.#hasNews && rows === this.#rows) return undefined;
    this.#hasNews = false;
    this.#rows = rows;
    this.#evaluatedMs = nowMs;
    const names = this.#window.features.filter((name) => this.#reference?.distributions.has(name) === true);
    this.#features = names.map((feature) => {
      const distance =
        rows < minimumRows
          ? undefined
          : this.#reference?.distributions.get(feature)?.distanceTo(this.#window.values(feature, sinceMs));
      const { stabilityIndex, distance: greatest } = distance ?? { stabilityIndex: 0, distance: 0 };
      return { feature, stabilityIndex, distance: greatest, isDrifted: stabilityIndex >= threshold };
    });
    return undefined;
  }

  #load(nowMs: number): void {
    this.#rows = this.#window.rows(nowMs - this.#parts.config.windowMs);
    if (this.#isLoading || nowMs < this.#retryMs) return;
    this.#isLoading = true;
    this.#retryMs = nowMs + RETRY_MS;
    void this.#loadNow().finally(() => {
      this.#isLoading = false;
    });
  }

  async #loadNow(): Promise<void> {
    const { model, modelVersion } = this;
    const columns = [...this.#columns];
    try {
      const request = { model, modelVersion, reference: this.#given, columns };
      const reference = await loadReference(this.#parts.sources, request);
      if (columns.length < this.#columns.size) {
        this.#retryMs = 0;
        return;
      }
      this.#reference = reference;
      this.#problem = '';
      this.#hasNews = true;
    } catch (error) {
      const isExpected = error instanceof ReferenceMissing;
      this.#problem = isExpected ? error.message : 'the training data could not be read; see the log';
      if (!isExpected)
        this.#parts.log.warn('A reference for drift could not be read', { model, modelVersion, error });
    }
  }
}
