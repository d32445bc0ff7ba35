import type * as duckdb from '@duckdb/node-api';
import type { Schema } from 'lamella/proto/lamella/data/v1/dataset';
import type { RowBatch } from 'lamella/sdk/arrow';
import type { EngineConfig } from './config.ts';
import { EngineOutOfMemory, EngineUnavailable, QueryTimedOut, SqlInvalid } from './errors.ts';
import { type ResultColumn, readChunk, resultColumns } from './result-reader.ts';
import { identifier } from 'lamella/sdk';
import { createTableSql, TableLoader } from './table-loader.ts';

/** Rows gathered from DuckDB's small chunks before a batch is given out. */
const BATCH_ROWS = 8_192;

/** How often a plan that must stop is told so, in milliseconds. */
const INTERRUPT_EVERY_MS = 20;

/** A plan and the tables it may read. */
export interface Plan {
  readonly sql: string;
  /** Most rows of the result; all of them without it. */
  readonly maxRows?: number | undefined;
  /** Name in the plan to loaded table. */
  readonly tables: ReadonlyMap<string, string>;
  /** Shapes of the input columns by name. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly signal: AbortSignal;
}

/** Result of a plan. */
export interface PlanResult {
  readonly columns: readonly ResultColumn[];
  readonly batches: AsyncIterable<readonly RowBatch[]>;
  /** Ends the plan; also when not all batches were taken. */
  close(): Promise<void>;
}

/** One DuckDB database in memory; the only file that loads the native package. */
export class DuckDbEngine {
  readonly #api: typeof duckdb;
  readonly #instance: duckdb.DuckDBInstance;
  readonly #loader: duckdb.DuckDBConnection;
  readonly #config: EngineConfig;
  #dropping: Promise<unknown> = Promise.resolve();

  private constructor(parts: {
    readonly api: typeof duckdb;
    readonly instance: duckdb.DuckDBInstance;
    readonly loader: duckdb.DuckDBConnection;
    readonly config: EngineConfig;
  }) {
    this.#api = parts.api;
    this.#instance = parts.instance;
    this.#loader = parts.loader;
    this.#config = parts.config;
  }

  /**
   * @param spillDirectory - Where DuckDB puts what does not fit its memory.
   * @throws ENGINE_UNAVAILABLE
   */
  static async open(config: EngineConfig, spillDirectory: string): Promise<DuckDbEngine> {
    let api: typeof duckdb;
    try {
      api = await import('@duckdb/node-api');
    } catch (cause) {
      throw new EngineUnavailable({ cause: (cause as Error).message }, { cause });
    }
    const instance = await api.DuckDBInstance.create(':memory:', {
      max_memory: `${config.memoryMib}MiB`,
      threads: String(config.threads),
      // Before access is switched off, which also locks this option.
      temp_directory: spillDirectory,
      // Plans come from outside: no files, no network, no extensions, and no way to switch that back on.
      enable_external_access: 'false',
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
      lock_configuration: 'true',
    });
    return new DuckDbEngine({ api, instance, loader: await instance.connect(), config });
  }

  /** Fills a new table from batches. */
  async load(table: string, schema: Schema, batches: AsyncIterable<readonly RowBatch[]>): Promise<void> {
    await this.#loader.run(createTableSql(table, schema));
    const appender = await this.#loader.createAppender(table);
    const loader = new TableLoader(this.#api, appender);
    try {
      for await (const group of batches) for (const batch of group) loader.append(batch);
      appender.closeSync();
    } catch (error) {
      await this.drop(table);
      throw isOutOfMemory(error)
        ? new EngineOutOfMemory({ problem: error.message }, { cause: error })
        : error;
    }
  }

  async drop(table: string): Promise<void> {
    const dropping = this.#loader.run(`DROP TABLE IF EXISTS ${identifier(table)}`);
    this.#dropping = Promise.allSettled([this.#dropping, dropping]);
    await dropping;
  }

  /**
   * Starts a plan: one SELECT over the given tables.
   *
   * @throws SQL_INVALID, QUERY_TIMED_OUT, RESULT_TYPE_UNSUPPORTED
   */
  async run(plan: Plan): Promise<PlanResult> {
    const connection = await this.#instance.connect();
    const guard = new QueryGuard(connection, plan.signal, this.#config.queryTimeoutMs);
    try {
      const sql = await this.#select(connection, plan);
      const result = await connection.stream(sql);
      const columns = resultColumns(result.columnNames(), result.columnTypes(), plan.shapes);
      return {
        columns,
        batches: this.#batches(result, columns, guard),
        close: async () => guard.finish(result),
      };
    } catch (error) {
      guard.close();
      throw guard.explain(error);
    }
  }

  /** The plan with its tables in front, checked to be one statement that only reads. */
  async #select(connection: duckdb.DuckDBConnection, { sql, maxRows, tables }: Plan): Promise<string> {
    // The caller's text alone comes first: put into a frame, several statements could look like one.
    const statements = await connection.extractStatements(sql);
    if (statements.count !== 1) throw new SqlInvalid({ problem: 'it must be exactly one statement.' });
    const prepared = [...tables].map(
      ([alias, table]) => `${identifier(alias)} AS (SELECT * FROM ${identifier(table)})`,
    );
    const frame = prepared.length === 0 ? '' : `WITH ${prepared.join(', ')} `;
    const limit = maxRows === undefined ? '' : ` LIMIT ${maxRows}`;
    // On lines of its own, so that a comment at its end does not take the bracket with it.
    const text = `${frame}SELECT * FROM (\n${sql.trim().replace(/;\s*$/, '')}\n)${limit}`;
    if ((await connection.extractStatements(text)).count !== 1) {
      throw new SqlInvalid({ problem: 'its brackets do not match.' });
    }
    const statement = await connection.prepare(text);
    if (statement.statementType !== this.#api.StatementType.SELECT) {
      throw new SqlInvalid({ problem: 'only SELECT is allowed; the engine stores the result itself.' });
    }
    return text;
  }

  async *#batches(
    result: duckdb.DuckDBResult,
    columns: readonly ResultColumn[],
    guard: QueryGuard,
  ): AsyncGenerator<RowBatch[]> {
    try {
      let group: RowBatch[] = [];
      let rows = 0;
      for (;;) {
        const chunk = await guard.fetch(result);
        if (chunk === undefined) break;
        group.push(readChunk(this.#api, chunk, columns));
        rows += chunk.rowCount;
        if (rows < BATCH_ROWS) continue;
        yield group;
        group = [];
        rows = 0;
      }
      if (group.length > 0) yield group;
    } catch (error) {
      throw guard.explain(error);
    }
  }

  async close(): Promise<void> {
    // A connection closed under a running statement takes the process with it.
    await this.#dropping;
    this.#loader.closeSync();
    this.#instance.closeSync();
  }
}

/** Ends a plan when it takes too long or nobody waits for it any more, and its connection with it. */
class QueryGuard {
  readonly #connection: duckdb.DuckDBConnection;
  readonly #signal: AbortSignal;
  readonly #limitMs: number;
  readonly #timer: NodeJS.Timeout;
  #isLate = false;
  #isClosed = false;
  #isEnded = false;
  #repeat: NodeJS.Timeout | undefined;
  #fetching: Promise<unknown> = Promise.resolve();
  readonly #interrupt = (): void => {
    // DuckDB forgets an interrupt that comes before the query runs, so it is repeated until the plan has ended.
    this.#repeat ??= setInterval(() => this.#connection.interrupt(), INTERRUPT_EVERY_MS);
    this.#connection.interrupt();
  };

  constructor(connection: duckdb.DuckDBConnection, signal: AbortSignal, limitMs: number) {
    this.#connection = connection;
    this.#signal = signal;
    this.#limitMs = limitMs;
    this.#timer = setTimeout(() => {
      this.#isLate = true;
      this.#interrupt();
    }, limitMs);
    if (signal.aborted) this.#interrupt();
    signal.addEventListener('abort', this.#interrupt, { once: true });
  }

  /** Next chunk, `undefined` at the end; remembered while under way, because it must not lose its connection. */
  async fetch(result: duckdb.DuckDBResult): Promise<duckdb.DuckDBDataChunk | undefined> {
    const fetching = result.fetchChunk();
    this.#fetching = fetching.catch(() => undefined);
    try {
      const chunk = await fetching;
      if (chunk !== null && chunk.rowCount > 0) return chunk;
    } catch (error) {
      this.#isEnded = true;
      throw error;
    }
    this.#isEnded = true;
    return undefined;
  }

  /** Ends the plan wherever it is: a result with rows left must not outlive its connection. */
  async finish(result: duckdb.DuckDBResult): Promise<void> {
    if (this.#isClosed) return;
    await this.#fetching;
    if (!this.#isEnded) this.#interrupt();
    try {
      while (!this.#isEnded) await this.fetch(result);
    } catch {
      // Interrupted, as intended.
    }
    this.close();
  }

  explain(error: unknown): unknown {
    if (this.#isLate) return new QueryTimedOut({ limitMs: String(this.#limitMs) }, { cause: error });
    if (this.#signal.aborted) return this.#signal.reason;
    if (error instanceof Error && 'reason' in error) return error;
    if (isOutOfMemory(error)) return new EngineOutOfMemory({ problem: error.message }, { cause: error });
    return new SqlInvalid({ problem: (error as Error).message }, { cause: error });
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    clearInterval(this.#repeat);
    this.#signal.removeEventListener('abort', this.#interrupt);
    this.#connection.closeSync();
  }
}

/** DuckDB's own wording is all there is to tell the kinds of its errors apart. */
function isOutOfMemory(error: unknown): error is Error {
  return error instanceof Error && /out of memory/i.test(error.message);
}
