import type { SeriesLabels } from './labels.ts';

/** One series at one moment. */
export interface VectorSample {
  readonly labels: SeriesLabels;
  readonly value: number;
}

/** Series at one moment. */
export type Vector = readonly VectorSample[];

/** What an expression gives: a number, or series. */
export type Value = number | Vector;

/** Samples of one series within a range, oldest first. */
export interface RangeSamples {
  readonly labels: SeriesLabels;
  readonly timesMs: readonly number[];
  readonly values: readonly number[];
}

/** An expression that cannot be evaluated with the series that are there. */
export class EvaluationProblem extends Error {
  constructor(problem: string) {
    super(problem);
    this.name = 'EvaluationProblem';
  }
}
