/** How long a stage took. */
export interface StageTime {
  readonly name: string;
  readonly durationMs: number;
}

/** The figures of one run of the example. */
export interface DigitsReport {
  /** True when the model was registered before, and only had to be put into service. */
  readonly wasInPlace: boolean;
  /** Rows of the dataset, hold-out included. */
  readonly rows: number;
  readonly holdoutRows: number;
  /** Share of hold-out rows predicted right. */
  readonly accuracy: number;
  /** Rows trained in a second. */
  readonly samplesPerSecond: number;
  readonly modelSizeBytes: number;
  /** `models/digits/versions/{version}`. */
  readonly modelVersion: string;
  readonly datasetVersion: string;
  readonly stages: readonly StageTime[];
  readonly durationMs: number;
}
