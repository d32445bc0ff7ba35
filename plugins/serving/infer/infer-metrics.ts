import type {
  Counter,
  CounterSeries,
  Gauge,
  GaugeSeries,
  Histogram,
  HistogramSeries,
  Labels,
  Metrics,
} from 'lamella/sdk';
import type { RequestTimes } from './statistics.ts';

const LABELS: readonly string[] = ['model', 'version'];
const SECONDS: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10,
];
/** From a light model, or an empty queue, to a slow model. Fewer than above, since there are four for each model. */
const PHASE_SECONDS: readonly number[] = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5];
const ROWS: readonly number[] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

const REASONS = ['REJECTED', 'CANCELED', 'BACKEND', 'OTHER'] as const;

/** Why a request failed, in Triton's words. */
export type FailureReason = (typeof REASONS)[number];

const PHASE_HELP = {
  queue: 'Time in the queue in microseconds',
  compute_input: 'Time to read inputs in microseconds',
  compute_infer: 'Time of runs in microseconds, for each request',
  compute_output:
    'Time to write outputs in microseconds: what is left of the whole time after the other parts',
};

/** A part of the time of a request, in Triton's words. */
type Phase = keyof typeof PHASE_HELP;

/** Triton's metrics under Triton's names, and the histograms that it lacks. */
export class InferMetrics {
  readonly #success: Counter;
  readonly #failure: Counter;
  readonly #inferences: Counter;
  readonly #executions: Counter;
  readonly #requestUs: Counter;
  readonly #phaseUs: Readonly<Record<Phase, Counter>>;
  readonly #pending: Gauge;
  readonly #loadSeconds: Gauge;
  readonly #seconds: Histogram;
  readonly #phaseSeconds: Histogram;
  readonly #batchRows: Histogram;

  constructor(metrics: Metrics) {
    const counter = (name: string, help: string, labels: readonly string[] = LABELS): Counter =>
      metrics.counter({ name, help, labels });
    const gauge = (name: string, help: string): Gauge => metrics.gauge({ name, help, labels: LABELS });
    this.#success = counter('nv_inference_request_success', 'Number of requests that were answered');
    this.#failure = counter('nv_inference_request_failure', 'Number of requests that failed', [
      ...LABELS,
      'reason',
    ]);
    this.#inferences = counter('nv_inference_count', 'Number of rows that were inferred');
    this.#executions = counter('nv_inference_exec_count', 'Number of runs of the model');
    this.#requestUs = counter(
      'nv_inference_request_duration_us',
      'Time of answered requests in microseconds',
    );
    const phase = (name: Phase): Counter => counter(`nv_inference_${name}_duration_us`, PHASE_HELP[name]);
    this.#phaseUs = {
      queue: phase('queue'),
      compute_input: phase('compute_input'),
      compute_infer: phase('compute_infer'),
      compute_output: phase('compute_output'),
    };
    this.#pending = gauge('nv_inference_pending_request_count', 'Number of requests that wait');
    this.#loadSeconds = gauge(
      'nv_model_load_duration_secs',
      'Time to load the model in seconds, with its warm-up',
    );
    this.#seconds = metrics.histogram({
      name: 'lamella_inference_request_seconds',
      help: 'Time of answered requests in seconds',
      labels: LABELS,
      buckets: SECONDS,
    });
    this.#phaseSeconds = metrics.histogram({
      name: 'lamella_inference_phase_seconds',
      help: 'Time of each part of inferred requests in seconds; the parts add up to the whole',
      labels: [...LABELS, 'phase'],
      buckets: PHASE_SECONDS,
    });
    this.#batchRows = metrics.histogram({
      name: 'lamella_inference_batch_rows',
      help: 'Rows of one run',
      labels: LABELS,
      buckets: ROWS,
    });
  }

  /** The metrics of one version; they are shown from now on, as Triton does: an increase from 0 can be seen. */
  of(labels: Labels): ModelMetrics {
    const phase = (name: Phase): PhaseSeries => ({
      us: this.#phaseUs[name].series(labels),
      seconds: this.#phaseSeconds.series({ ...labels, phase: name }),
    });
    const failure = (reason: FailureReason): CounterSeries => this.#failure.series({ ...labels, reason });
    return new ModelMetrics({
      success: this.#success.series(labels),
      inferences: this.#inferences.series(labels),
      executions: this.#executions.series(labels),
      requestUs: this.#requestUs.series(labels),
      pending: this.#pending.series(labels),
      loadSeconds: this.#loadSeconds.series(labels),
      seconds: this.#seconds.series(labels),
      batchRows: this.#batchRows.series(labels),
      queue: phase('queue'),
      input: phase('compute_input'),
      infer: phase('compute_infer'),
      output: phase('compute_output'),
      failure: new Map(REASONS.map((reason) => [reason, failure(reason)])),
    });
  }
}

interface PhaseSeries {
  readonly us: CounterSeries;
  readonly seconds: HistogramSeries;
}

interface ModelSeries {
  readonly success: CounterSeries;
  readonly inferences: CounterSeries;
  readonly executions: CounterSeries;
  readonly requestUs: CounterSeries;
  readonly pending: GaugeSeries;
  readonly loadSeconds: GaugeSeries;
  readonly seconds: HistogramSeries;
  readonly batchRows: HistogramSeries;
  readonly queue: PhaseSeries;
  readonly input: PhaseSeries;
  readonly infer: PhaseSeries;
  readonly output: PhaseSeries;
  readonly failure: ReadonlyMap<FailureReason, CounterSeries>;
}

/** The metrics of one version of a model: its series are looked up once, since each request is counted in 16 of them. */
export class ModelMetrics {
  readonly #series: ModelSeries;

  constructor(series: ModelSeries) {
    this.#series = series;
    const { success, inferences, executions, requestUs, queue, input, infer, output, failure } = series;
    const counters = [success, inferences, executions, requestUs, queue.us, input.us, infer.us, output.us];
    for (const counter of [...counters, ...failure.values()]) counter.add(0);
    series.pending.set(0);
  }

  /** Counts a request that was answered; one of no rows came from the cache and had no parts. */
  succeeded({ rows, totalMs, queueMs, inputMs, runMs }: RequestTimes): void {
    const series = this.#series;
    series.success.add(1);
    series.requestUs.add(totalMs * 1_000);
    series.seconds.observe(totalMs / 1_000);
    if (rows === 0) {
      series.output.us.add(totalMs * 1_000);
      return;
    }
    series.inferences.add(rows);
    count(series.queue, queueMs);
    count(series.input, inputMs);
    count(series.infer, runMs);
    count(series.output, Math.max(0, totalMs - queueMs - inputMs - runMs));
  }

  /** Counts a request that failed. */
  failed(reason: FailureReason): void {
    this.#series.failure.get(reason)?.add(1);
  }

  /** Counts a run, after which so many requests wait. */
  executed(rows: number, waiting: number): void {
    this.#series.executions.add(1);
    this.#series.batchRows.observe(rows);
    this.#series.pending.set(waiting);
  }

  /** Tells how long the load took. */
  loaded(ms: number): void {
    this.#series.loadSeconds.set(ms / 1_000);
  }
}

function count({ us, seconds }: PhaseSeries, ms: number): void {
  us.add(ms * 1_000);
  seconds.observe(ms / 1_000);
}
