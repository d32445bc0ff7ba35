import type { Column } from 'lamella/sdk/arrow';

/** A row that could not be taken. */
export interface Rejection {
  /** Number of the row in its source, from 0. */
  readonly row: number;
  readonly column: string;
  readonly reason: string;
}

/** Some rows of a source, as columns, and what was left out among them. */
export interface SourceBatch {
  readonly rowCount: number;
  readonly columns: readonly Column[];
  readonly rejections: readonly Rejection[];
}

/** Rows of a source in batches. */
export interface Source {
  /** Rows in all, when the source knows; 0 otherwise. */
  readonly totalRows: number;
  batches(signal: AbortSignal): AsyncIterable<SourceBatch>;
}

/** Most rows of a batch, whatever the request says: digits then have 12 MiB, below the store's limit. */
export const MAX_BATCH_ROWS = 16_384;

/** Rows gathered into one batch when the request does not say. */
export const DEFAULT_BATCH_ROWS = 4_096;
