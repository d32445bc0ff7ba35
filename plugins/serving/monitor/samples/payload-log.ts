import { randomUUID } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { StoreService, WriteVersionRequestSchema } from 'lamella/proto/lamella/data/v1/store_service';
import type { InferenceSample } from 'lamella/proto/lamella/serving/v1/sample_service';
import {
  type Client,
  type Clock,
  type Counter,
  isDeclaredError,
  type Logger,
  type Metrics,
} from 'lamella/sdk';
import { encodeArrow, type RowBatch, sliceBatch } from 'lamella/sdk/arrow';
import type { PayloadLogConfig, SampleConfig } from '../sample-config.ts';
import { PayloadTable, sizeOfSample } from './payload-table.ts';
import type { SampleTaker } from './sample-feed.ts';

/** Name of the step that makes the versions; only such are deleted when they are old. */
const STEP = 'inference.sample';

/** Bytes of one Arrow chunk, as the store recommends. */
const CHUNK_BYTES = 4 * 1_024 * 1_024;

/** Bytes of samples that are written at once, however few rows they are, and bytes that may wait. */
const FLUSH_BYTES = 16 * 1_024 * 1_024;
const MOST_BYTES = 64 * 1_024 * 1_024;

/** Time that the store gets for one version, in milliseconds. */
const WRITE_LIMIT_MS = 60_000;

/** Versions that are looked at for their age, the oldest ones. */
const OLDEST = 1_000;

/** What {@link PayloadLog} works with. */
export interface PayloadLogParts {
  readonly store: Client<typeof StoreService>;
  readonly config: PayloadLogConfig;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

interface Writing {
  readonly model: string;
  readonly table: PayloadTable;
  /** The same for each attempt, so that none writes the rows twice. */
  readonly requestId: string;
}

/**
 * Keeps samples as versions of the dataset `inference.MODEL`, written by the store: each is there as a whole or not at all,
 * also after a kill. Rows that cannot be written wait for the next time, as long as there is room.
 */
export class PayloadLog implements SampleTaker {
  readonly #parts: PayloadLogParts;
  readonly #rowsTotal: Counter;
  readonly #tables: Map<string, PayloadTable[]> = new Map();
  /** What the store has not taken yet. */
  #unwritten: Writing[] = [];
  #rows = 0;
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> = Promise.resolve();

  constructor(parts: PayloadLogParts) {
    this.#parts = parts;
    this.#rowsTotal = parts.metrics.counter({
      name: 'lamella_payload_log_rows_total',
      help: 'Rows of sampled requests: written into a dataset, or dropped since the store took none for too long',
      labels: ['model', 'outcome'],
    });
  }

  /** Writes what has come every `flushMs`. */
  start(): void {
    this.#timer = setInterval(() => void this.flush(), this.#parts.config.flushMs);
  }

  take(sample: InferenceSample, { log }: SampleConfig): void {
    if (!log) return;
    const { model } = sample;
    const { maxRows } = this.#parts.config;
    if (this.#rows >= 2 * maxRows || this.#bytes >= MOST_BYTES) {
      this.#rowsTotal.add(Math.max(1, sample.rows), { model, outcome: 'dropped' });
      return;
    }
    const tables = this.#tables.get(model) ?? [];
    this.#tables.set(model, tables);
    if (!tables.some((table) => table.add(sample))) {
      const table = new PayloadTable();
      table.add(sample);
      tables.push(table);
    }
    this.#rows += Math.max(1, sample.rows);
    this.#bytes += sizeOfSample(sample);
    if (this.#rows >= maxRows || this.#bytes >= FLUSH_BYTES) void this.flush();
  }

  /** Writes all that is there; never rejects. */
  flush(): Promise<void> {
    this.#flushing = this.#flushing.then(() => this.#flush());
    return this.#flushing;
  }

  /** Writes the rest. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }

  async #flush(): Promise<void> {
    const fresh = [...this.#tables].flatMap(([model, tables]) =>
      tables.map((table): Writing => ({ model, table, requestId: randomUUID() })),
    );
    this.#tables.clear();
    const waiting = [...this.#unwritten, ...fresh];
    this.#unwritten = [];
    for (const writing of waiting) await this.#write(writing);
    for (const model of new Set(waiting.map((writing) => writing.model))) await this.#deleteOld(model);
  }

  async #write(writing: Writing): Promise<void> {
    const { log, store } = this.#parts;
    const { model, table } = writing;
    try {
      await store.writeVersion(versionParts(writing), { timeoutMs: WRITE_LIMIT_MS });
      this.#rows -= table.rows;
      this.#bytes -= table.sizeBytes;
      this.#rowsTotal.add(table.rows, { model, outcome: 'written' });
    } catch (error) {
      this.#unwritten.push(writing);
      log.warn('Sampled requests could not be written and wait', { model, rows: table.rows, error });
    }
  }

  async #deleteOld(model: string): Promise<void> {
    const { clock, config, log, store } = this.#parts;
    if (config.keepMs === 0) return;
    const beforeMs = clock.now() - config.keepMs;
    try {
      const parent = `datasets/${datasetOf(model)}`;
      const { versions } = await store.listVersions({ parent, pageSize: OLDEST });
      for (const { name, step, createTime } of versions) {
        if (step?.name !== STEP || createTime === undefined || timestampMs(createTime) >= beforeMs) continue;
        await store.deleteVersion({ name }).catch((error: unknown) => {
          // Somebody made something of it.
          if (!isDeclaredError(error) || error.reason !== 'DATASET_VERSION_IN_USE') throw error;
        });
      }
    } catch (error) {
      log.warn('Old sampled requests could not be deleted', { model, error });
    }
  }
}

/** Name of the dataset that holds the samples of a model. */
export function datasetOf(model: string): string {
  return `inference.${model.replaceAll(/[^\w.-]/g, '_')}`.slice(0, 128);
}

type VersionPart = MessageInitShape<typeof WriteVersionRequestSchema>;

async function* versionParts({ model, table, requestId }: Writing): AsyncGenerator<VersionPart> {
  const step = { name: STEP, arguments: { model } };
  yield { part: { case: 'header', value: { dataset: datasetOf(model), step, requestId } } };
  for (const batch of chunks(table.batch())) yield { part: { case: 'arrowIpc', value: encodeArrow(batch) } };
}

function* chunks(batch: RowBatch): Generator<RowBatch> {
  const bytes = batch.columns.reduce((sum, { values }) => sum + sizeOf(values), 0);
  const rows = Math.max(1, Math.floor((batch.rowCount * CHUNK_BYTES) / Math.max(bytes, 1)));
  for (let start = 0; start < batch.rowCount; start += rows) yield sliceBatch(batch, start, start + rows);
}

function sizeOf(values: RowBatch['columns'][number]['values']): number {
  if ('buffer' in values) return values.byteLength;
  return (values as readonly (string | Uint8Array)[]).reduce((sum, { length }) => sum + length, 0);
}
