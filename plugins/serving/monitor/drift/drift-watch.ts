import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { InferenceSample } from 'lamella/proto/lamella/serving/v1/sample_service';
import type { Clock, Gauge, Labels, Logger, Metrics, Storage } from 'lamella/sdk';
import type { Column } from 'lamella/sdk/arrow';
import type { DriftConfig, SampleConfig } from '../sample-config.ts';
import { columnHead, columnValues } from '../samples/sample-column.ts';
import type { SampleTaker } from '../samples/sample-feed.ts';
import { DriftStarts } from './drift-starts.ts';
import { featuresOf, type FeatureValues } from './feature.ts';
import type { ReferenceSources } from './reference.ts';
import { type FeatureDrift, WatchedModel } from './watched-model.ts';

/** What {@link DriftWatch} works with. */
export interface DriftWatchParts {
  readonly config: DriftConfig;
  readonly sources: ReferenceSources;
  readonly storage: Storage;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Versions of models that are watched at once. */
const MOST_MODELS = 100;

const LABELS = ['model', 'version'];

/** Compares the newest samples of each model with the data that it was trained on, feature by feature. */
export class DriftWatch implements SampleTaker {
  readonly #parts: DriftWatchParts;
  readonly #models: Map<string, WatchedModel> = new Map();
  readonly #starts: DriftStarts;
  readonly #index: Gauge;
  readonly #distance: Gauge;
  readonly #rows: Gauge;

  constructor(parts: DriftWatchParts) {
    this.#parts = parts;
    this.#starts = new DriftStarts(parts.storage, (error) =>
      parts.log.error('The begin of a drift could not be kept', { error }),
    );
    const gauge = (name: string, help: string, labels: readonly string[]): Gauge =>
      parts.metrics.gauge({ name, help, labels });
    this.#index = gauge(
      'lamella_drift_stability_index',
      'Population stability index of a feature against the training data; 0 means no drift, or too few rows',
      [...LABELS, 'feature'],
    );
    this.#distance = gauge(
      'lamella_drift_distance',
      'Kolmogorov-Smirnov distance of a feature from the training data, 0 to 1; 0 for texts and with too few rows',
      [...LABELS, 'feature'],
    );
    this.#rows = gauge(
      'lamella_drift_rows',
      'Sampled rows in the window that drift is measured over',
      LABELS,
    );
  }

  /** Reads what was known of drift before a restart. */
  async load(): Promise<void> {
    await this.#starts.load();
  }

  take(sample: InferenceSample, config: SampleConfig): void {
    if (!config.drift || sample.rows === 0) return;
    const key = `${sample.model}/${sample.modelVersion}`;
    let model = this.#models.get(key);
    if (model === undefined) {
      if (this.#models.size >= MOST_MODELS) return;
      model = new WatchedModel(sample, config.reference, this.#parts);
      this.#models.set(key, model);
    }
    const columns = columnsOf(sample);
    const features = new Map<string, FeatureValues>();
    for (const column of columns)
      for (const [name, values] of featuresOf(column, sample.rows)) features.set(name, values);
    const timeMs = sample.time === undefined ? this.#parts.clock.now() : timestampMs(sample.time);
    model.add(columns, features, { rows: sample.rows, timeMs });
  }

  /** Compares what has changed; never rejects and waits for no reference. */
  async look(nowMs: number): Promise<void> {
    for (const [key, model] of this.#models) {
      const labels = { model: model.model, version: model.modelVersion };
      if (model.isOver(nowMs)) {
        this.#models.delete(key);
        for (const { feature } of model.features) {
          this.#tell(labels, feature, { stabilityIndex: 0, distance: 0 });
          await this.#starts.note(`${key}/${feature}`, false, nowMs);
        }
        this.#rows.set(0, labels);
        continue;
      }
      model.evaluate(nowMs);
      this.#rows.set(model.rows, labels);
      for (const drift of model.features) {
        this.#tell(labels, drift.feature, drift);
        // With too few rows nothing is known: after a restart, a drift goes on that was there before.
        if (model.problem === '') await this.#starts.note(`${key}/${drift.feature}`, drift.isDrifted, nowMs);
      }
    }
  }

  /** Models that are watched. */
  models(): WatchedModel[] {
    return [...this.#models.values()];
  }

  /** Time since which a feature has drifted; `undefined` when it has not. */
  startMs({ model, modelVersion }: WatchedModel, { feature }: FeatureDrift): number | undefined {
    return this.#starts.get(`${model}/${modelVersion}/${feature}`);
  }

  #tell(labels: Labels, feature: string, drift: { stabilityIndex: number; distance: number }): void {
    this.#index.set(drift.stabilityIndex, { ...labels, feature });
    this.#distance.set(drift.distance, { ...labels, feature });
  }
}

/** Tensors as columns: those whose shape is fixed, since others cannot be compared element by element. */
function columnsOf({ inputs, outputs, rows }: InferenceSample): Column[] {
  const parts = [
    ...inputs.map((tensor) => ({ prefix: 'input', tensor })),
    ...outputs.map((tensor) => ({ prefix: 'output', tensor })),
  ];
  return parts.flatMap(({ prefix, tensor }) => {
    const values = tensor.isFixed ? columnValues(tensor, rows) : undefined;
    return values === undefined ? [] : [{ ...columnHead(prefix, tensor), values }];
  });
}
