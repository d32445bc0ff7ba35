import type { Counter, Gauge, Histogram, Labels, Metrics } from 'lamella/sdk';
import type { Outcome } from './replica.ts';
import type { RetryVerdict } from './retries.ts';

const ENDPOINT: readonly string[] = ['model', 'split', 'endpoint'];
const SECONDS: readonly number[] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

/** What became of a mirrored request. */
export type MirrorResult = 'equal' | 'different' | 'failed' | 'left_out';

/** An endpoint as the gauges show it. */
export interface EndpointState {
  readonly labels: Labels;
  readonly isAvailable: boolean;
  readonly inFlight: number;
  readonly ejections: number;
}

/** Metrics of all balanced models. */
export class BalanceMetrics {
  readonly #requests: Counter;
  readonly #failures: Counter;
  readonly #seconds: Histogram;
  readonly #inFlight: Gauge;
  readonly #available: Gauge;
  readonly #ejections: Gauge;
  readonly #retries: Counter;
  readonly #hedges: Counter;
  readonly #mirrored: Counter;
  readonly #canary: Gauge;

  constructor(metrics: Metrics) {
    const counter = (name: string, help: string, labels: readonly string[]): Counter =>
      metrics.counter({ name: `lamella_balance_${name}`, help, labels });
    const gauge = (name: string, help: string, labels: readonly string[] = ENDPOINT): Gauge =>
      metrics.gauge({ name: `lamella_balance_${name}`, help, labels });
    this.#requests = counter('requests_total', 'Requests that an endpoint was sent', ENDPOINT);
    this.#failures = counter('failures_total', 'Requests that an endpoint failed, by status', [
      ...ENDPOINT,
      'code',
    ]);
    this.#seconds = metrics.histogram({
      name: 'lamella_balance_request_seconds',
      help: 'Time of requests that an endpoint answered, in seconds',
      labels: ENDPOINT,
      buckets: SECONDS,
    });
    this.#inFlight = gauge('in_flight', 'Requests running at an endpoint');
    this.#available = gauge('endpoint_available', '1 when an endpoint gets requests, 0 when it does not');
    this.#ejections = gauge('ejections', 'Times that an endpoint was left out after failures');
    this.#retries = counter('retries_total', 'Failed tries, by what became of them', ['model', 'verdict']);
    this.#hedges = counter('hedges_total', 'Second endpoints that were asked because the first was slow', [
      'model',
    ]);
    this.#mirrored = counter('mirrored_total', 'Mirrored requests, by what became of them', [
      'model',
      'result',
    ]);
    this.#canary = gauge('canary_percent', 'Share of a canary in percent', ['model']);
  }

  /** Counts what a request came to. */
  sent(model: string, split: string, { replica, latencyMs, failure }: Outcome): void {
    const labels = { model, split, endpoint: replica.name };
    this.#requests.add(1, labels);
    if (failure === undefined) this.#seconds.observe(latencyMs / 1_000, labels);
    else this.#failures.add(1, { ...labels, code: String(failure.code) });
  }

  /** Shows an endpoint as it is. */
  show({ labels, isAvailable, inFlight, ejections }: EndpointState): void {
    this.#inFlight.set(inFlight, labels);
    this.#available.set(isAvailable ? 1 : 0, labels);
    this.#ejections.set(ejections, labels);
  }

  retried(model: string, verdict: RetryVerdict): void {
    this.#retries.add(1, { model, verdict });
  }

  hedged(model: string): void {
    this.#hedges.add(1, { model });
  }

  mirrored(model: string, result: MirrorResult): void {
    this.#mirrored.add(1, { model, result });
  }

  canary(model: string, percent: number): void {
    this.#canary.set(percent, { model });
  }
}
