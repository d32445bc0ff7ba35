import type { DuckDBConnection } from '@duckdb/node-api';
import type { RunResponse } from 'lamella/proto/lamella/data/v1/engine_service';
import type { EngineService } from 'lamella/proto/lamella/data/v1/engine_service';
import { DataType, type DatasetVersion } from 'lamella/proto/lamella/data/v1/dataset';
import type { StoreService } from 'lamella/proto/lamella/data/v1/store_service';
import type { Client } from 'lamella/sdk';
import { type Column, encodeArrow } from 'lamella/sdk/arrow';

type Row = Readonly<Record<string, unknown>>;

/** A DuckDB in memory with one table `input`, for tests of what plans compute. */
export class DuckDbTable {
  readonly #connection: DuckDBConnection;

  private constructor(connection: DuckDBConnection) {
    this.#connection = connection;
  }

  /** Makes the table from a query. */
  static async of(sql: string): Promise<DuckDbTable> {
    const { DuckDBInstance } = await import('@duckdb/node-api');
    const connection = await (await DuckDBInstance.create(':memory:')).connect();
    await connection.run(`CREATE TABLE input AS ${sql}`);
    return new DuckDbTable(connection);
  }

  /** Rows of a query as plain objects; whole numbers of 64 bits stay bigint, lists become arrays. */
  async rows(sql: string): Promise<Row[]> {
    const reader = await this.#connection.runAndReadAll(sql);
    return reader.getRowObjects().map((row) => {
      const entries = Object.entries(row).map(([name, value]) => [name, plain(value)]);
      return Object.fromEntries(entries) as Row;
    });
  }

  /** Releases the database. */
  close(): void {
    this.#connection.closeSync();
  }
}

function plain(value: unknown): unknown {
  return typeof value === 'object' && value !== null && 'items' in value
    ? (value.items as unknown[]).map(plain)
    : value;
}

/** A StoreService that knows one version. */
export function storeOf(version: DatasetVersion): Client<typeof StoreService> {
  return { getVersion: async () => ({ version }) } as unknown as Client<typeof StoreService>;
}

/** An EngineService over one table; what `run` was asked for is kept in `asked`. */
export function engineOf(table: DuckDbTable, asked: unknown[] = []): Client<typeof EngineService> {
  const engine = {
    async *query({ sql }: { sql: string }) {
      const rows = await table.rows(sql);
      const names = Object.keys(rows[0] ?? {});
      const columns = names.map((name) =>
        columnOf(
          name,
          rows.map((row) => row[name]),
        ),
      );
      yield { arrowIpc: encodeArrow({ rowCount: rows.length, columns }) };
    },
    async *run(request: { sql: string }) {
      asked.push(request);
      const rows = await table.rows(request.sql);
      yield { rows: BigInt(rows.length) } as RunResponse;
      yield { rows: BigInt(rows.length), version: { name: 'datasets/out/versions/f' } } as RunResponse;
    },
  };
  return engine as unknown as Client<typeof EngineService>;
}

function columnOf(name: string, cells: readonly unknown[]): Column {
  const valid = Uint8Array.from(cells, (cell) => (cell === null ? 0 : 1));
  if (cells.some((cell) => typeof cell === 'string')) {
    return {
      name,
      type: DataType.STRING,
      shape: [],
      valid,
      values: cells.map((cell) => (typeof cell === 'string' ? cell : '')),
    };
  }
  return { name, type: DataType.FLOAT64, shape: [], valid, values: Float64Array.from(cells, Number) };
}
