/** What a driver keeps of a committed version. */
export interface StoredRows {
  readonly rowCount: number;
  readonly sizeBytes: number;
}

/** Part of a version's rows. */
export interface RowRange {
  /** Columns to read; empty for all. */
  readonly columns: readonly string[];
  readonly offset: number;
  /** 0 for all rows. */
  readonly limit: number;
}

/**
 * Keeps the rows of dataset versions. A write is opened under an id, takes Arrow IPC batches, and becomes visible as a
 * version in one step when it is committed; before that, and after an abort or a kill, nothing of it can be read.
 */
export interface StoreDriver {
  openWrite(writeId: string): Promise<void>;
  append(writeId: string, arrowIpc: Uint8Array): Promise<StoredRows>;
  /** Resolves when the rows would survive a kill. */
  commit(writeId: string, versionId: string): Promise<StoredRows>;
  abort(writeId: string): Promise<void>;
  /** Rows in the order they were written, as Arrow IPC streams of one batch each. */
  read(versionId: string, range: RowRange): AsyncIterable<Uint8Array>;
  delete(versionId: string): Promise<void>;
  list(): AsyncIterable<string>;
  close(): Promise<void>;
}
