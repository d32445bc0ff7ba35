/** How far a stage is. */
export interface StageProgress {
  readonly done: number;
  /** 0 when it is not known. */
  readonly total: number;
  /** Of `done` and `total`, for example `rows`. */
  readonly unit: string;
}

/** Shows the stages of the example to whoever runs it. */
export interface StageReporter {
  started(name: string): void;
  progress(name: string, progress: StageProgress): void;
  done(name: string, message: string, durationMs: number): void;
  failed(name: string, message: string): void;
}
