import type { StageTime } from './digits-report.ts';
import type { StageProgress, StageReporter } from './stage-reporter.ts';

/** Times stages and tells the reporter of each; one stage runs at a time. */
export class StageClock {
  readonly #reporter: StageReporter;
  readonly #times: StageTime[] = [];
  readonly #startMs: number = performance.now();
  #current: { readonly name: string; readonly startMs: number } | undefined;

  constructor(reporter: StageReporter) {
    this.#reporter = reporter;
  }

  /** Stages that are done, in their order. */
  get times(): readonly StageTime[] {
    return this.#times;
  }

  /** Time since the first stage could begin. */
  get durationMs(): number {
    return performance.now() - this.#startMs;
  }

  start(name: string): void {
    this.#current = { name, startMs: performance.now() };
    this.#reporter.started(name);
  }

  progress(progress: StageProgress): void {
    if (this.#current !== undefined) this.#reporter.progress(this.#current.name, progress);
  }

  done(message: string): void {
    if (this.#current === undefined) return;
    const { name, startMs } = this.#current;
    const durationMs = performance.now() - startMs;
    this.#current = undefined;
    this.#times.push({ name, durationMs });
    this.#reporter.done(name, message, durationMs);
  }

  /** Ends the stage that runs, if any, as failed. */
  failed(message: string): void {
    if (this.#current === undefined) return;
    this.#reporter.failed(this.#current.name, message);
    this.#current = undefined;
  }
}
