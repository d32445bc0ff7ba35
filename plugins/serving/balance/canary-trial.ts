import { Code } from 'lamella/sdk';
import { type ArmResult, judge } from './canary-judge.ts';
import { LatencyWindow } from './latency-window.ts';
import type { Outcome } from './replica.ts';
import type { CanarySettings } from './settings.ts';
import type { CanaryShare } from './shares.ts';

/** Where a canary stands, as it is kept. */
export interface CanaryProgress {
  readonly state: 'running' | 'promoted' | 'rolled back';
  /** Index into the steps. */
  readonly step: number;
  readonly reason: string;
  readonly updateTimeMs: number;
}

/** Answers of the baseline below which its p99 says nothing. */
const MIN_ANSWERS = 20;

class Arm {
  requests = 0;
  failures = 0;
  readonly latencies: LatencyWindow = new LatencyWindow(Infinity);

  learn({ failure, latencyMs }: Outcome): void {
    // Callers that went away say nothing.
    if (failure?.code === Code.CANCELLED) return;
    this.requests += 1;
    if (failure === undefined) this.latencies.observe(latencyMs, 0);
    else this.failures += 1;
  }

  clear(): void {
    this.requests = 0;
    this.failures = 0;
    this.latencies.clear();
  }

  result(): ArmResult {
    const p99Ms = this.latencies.count < MIN_ANSWERS ? undefined : this.latencies.percentile(99);
    return { requests: this.requests, failures: this.failures, p99Ms };
  }
}

/** Watches a canary beside its baseline, moves it on and takes it back. */
export class CanaryTrial {
  readonly #settings: CanarySettings;
  readonly #clock: { now(): number };
  readonly #onChange: (progress: CanaryProgress) => void;
  readonly candidate: Arm = new Arm();
  readonly baseline: Arm = new Arm();
  progress: CanaryProgress;
  #stepStartMs: number = performance.now();

  constructor(
    settings: CanarySettings,
    progress: CanaryProgress | undefined,
    parts: { readonly clock: { now(): number }; readonly onChange: (progress: CanaryProgress) => void },
  ) {
    this.#settings = settings;
    this.#clock = parts.clock;
    this.#onChange = parts.onChange;
    const updateTimeMs = parts.clock.now();
    this.progress = progress ?? { state: 'running', step: 0, reason: 'it has begun', updateTimeMs };
  }

  /** Share of the candidate in percent. */
  get percent(): number {
    const { state, step } = this.progress;
    if (state === 'running') return this.#settings.steps[step] ?? 100;
    return state === 'promoted' ? 100 : 0;
  }

  get share(): CanaryShare {
    const { candidate, baseline } = this.#settings;
    return { candidate, baseline, percent: this.percent };
  }

  /** Takes in what a request came to. */
  learn(label: string, outcome: Outcome): void {
    if (this.progress.state !== 'running') return;
    if (label === this.#settings.baseline) this.baseline.learn(outcome);
    if (label !== this.#settings.candidate) return;
    this.candidate.learn(outcome);
    const stepMs = performance.now() - this.#stepStartMs;
    const isDue =
      stepMs >= this.#settings.intervalMs && this.candidate.requests >= this.#settings.minRequests;
    if (isDue || outcome.failure !== undefined) this.#judge(stepMs);
  }

  #judge(stepMs: number): void {
    const arms = { candidate: this.candidate.result(), baseline: this.baseline.result() };
    const verdict = judge(this.#settings, arms, stepMs);
    if (verdict.kind === 'rollback') this.rollBack(verdict.reason);
    else if (verdict.kind === 'advance' && !this.#settings.isManual)
      this.advance('it was as good as the baseline');
  }

  /** Moves on by a step, after the last one for good. */
  advance(reason: string): void {
    const { steps } = this.#settings;
    const step = this.progress.step + 1;
    if (step >= steps.length) {
      this.complete(reason);
      return;
    }
    // At 100 % the baseline has no requests any more: what it did before is what counts.
    if (steps[step] !== 100) this.baseline.clear();
    this.#change({ state: 'running', step, reason });
  }

  /** Gives the candidate everything for good. */
  complete(reason: string): void {
    this.#change({ state: 'promoted', step: this.#settings.steps.length - 1, reason });
  }

  /** Gives the candidate nothing any more. */
  rollBack(reason: string): void {
    this.#change({ state: 'rolled back', step: this.progress.step, reason });
  }

  #change(change: Omit<CanaryProgress, 'updateTimeMs'>): void {
    this.progress = { ...change, updateTimeMs: this.#clock.now() };
    if (change.state === 'running') this.candidate.clear();
    this.#stepStartMs = performance.now();
    this.#onChange(this.progress);
  }
}
