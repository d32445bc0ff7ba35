import { median, round } from '../harness/statistics.ts';
import type { LoadFigures } from './load-client.ts';

/** One kind of load on one server. */
export interface Cell {
  readonly peer: string;
  /** For example `grpc raw, 64 at once`. */
  readonly load: string;
}

/** Medians of the rounds, and the spread of the throughput. */
export interface Row extends Cell {
  readonly rounds: number;
  readonly perSecond: number;
  readonly perSecondFrom: number;
  readonly perSecondTo: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly cpuUs: number;
  readonly residentMib: number;
  readonly failed: number;
  readonly refused: number;
  /** Processors that the client and the rest of the machine kept busy: figures with much of either say little. */
  readonly clientCores: number;
  readonly otherCores: number;
  readonly error?: string;
}

/** Figures of all rounds by server and load. */
export class Table {
  readonly #samples: Map<string, { readonly cell: Cell; readonly all: LoadFigures[] }> = new Map();

  add(cell: Cell, figures: LoadFigures): void {
    const key = `${cell.peer}\n${cell.load}`;
    const entry = this.#samples.get(key) ?? { cell, all: [] };
    entry.all.push(figures);
    this.#samples.set(key, entry);
  }

  /** The row of a server under a load; `undefined` when it was not measured. */
  row(peer: string, load: string): Row | undefined {
    const entry = this.#samples.get(`${peer}\n${load}`);
    if (entry === undefined) return undefined;
    const of = (pick: (figures: LoadFigures) => number, digits = 2): number =>
      round(median(entry.all.map(pick)), digits);
    const rates = entry.all.map(({ perSecond }) => perSecond);
    const error = entry.all.find((figures) => figures.error !== '')?.error;
    return {
      ...entry.cell,
      rounds: entry.all.length,
      perSecond: of((figures) => figures.perSecond, 0),
      perSecondFrom: Math.round(Math.min(...rates)),
      perSecondTo: Math.round(Math.max(...rates)),
      p50Ms: of((figures) => figures.p50Ms, 3),
      p99Ms: of((figures) => figures.p99Ms, 3),
      p999Ms: of((figures) => figures.p999Ms, 3),
      cpuUs: of((figures) => figures.cpuUs, 1),
      residentMib: of((figures) => figures.residentMib, 0),
      failed: entry.all.reduce((sum, figures) => sum + figures.failed, 0),
      refused: entry.all.reduce((sum, figures) => sum + figures.refused, 0),
      clientCores: of((figures) => figures.clientCores),
      otherCores: of((figures) => figures.otherCores),
      ...(error === undefined ? {} : { error }),
    };
  }

  rows(): Row[] {
    return [...this.#samples.values()]
      .map(({ cell }) => this.row(cell.peer, cell.load))
      .filter((row) => row !== undefined);
  }
}
