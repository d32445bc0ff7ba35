import { timestampMs } from '@bufbuild/protobuf/wkt';
import { DataType } from 'lamella/proto/lamella/data/v1/dataset';
import type { InferenceSample, SampleTensor } from 'lamella/proto/lamella/serving/v1/sample_service';
import { type Column, numericArray, type RowBatch, widthOf } from 'lamella/sdk/arrow';
import { type ColumnHead, columnHead, columnValues } from './sample-column.ts';

interface Part {
  readonly prefix: string;
  readonly tensor: SampleTensor;
}

/** Samples whose tensors fit into the columns of one table. */
export class PayloadTable {
  readonly #heads: Map<string, ColumnHead> = new Map();
  readonly #samples: InferenceSample[] = [];
  #rows = 0;
  #sizeBytes = 0;

  /** Rows of the table: one for each row of a request, and one for a request without rows. */
  get rows(): number {
    return this.#rows;
  }

  /** Bytes that its samples take in memory. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Adds a sample; false when one of its tensors is of another type or shape than its column. */
  add(sample: InferenceSample): boolean {
    const heads = partsOf(sample).map(({ prefix, tensor }) => columnHead(prefix, tensor));
    if (heads.some((head) => !isLike(head, this.#heads.get(head.name)))) return false;
    for (const head of heads) this.#heads.set(head.name, head);
    this.#samples.push(sample);
    this.#rows += rowsOf(sample);
    this.#sizeBytes += sizeOfSample(sample);
    return true;
  }

  /** The rows as columns: who asked when and how it ended, then inputs and outputs, missing where there are none. */
  batch(): RowBatch {
    const columns = [...this.#heads.values()]
      .toSorted((one, other) => (one.name < other.name ? -1 : 1))
      .map((head) => this.#tensorColumn(head));
    return { rowCount: this.#rows, columns: [...this.#metaColumns(), ...columns] };
  }

  #metaColumns(): Column[] {
    const each = <Value>(value: (sample: InferenceSample, row: number) => Value): Value[] =>
      this.#samples.flatMap((sample) =>
        Array.from({ length: rowsOf(sample) }, (_, row) => value(sample, row)),
      );
    const text = (name: string, value: (sample: InferenceSample) => string): Column => ({
      name,
      type: DataType.STRING,
      shape: [],
      values: each(value),
    });
    const time = BigInt64Array.from(each((sample) => BigInt(timeMs(sample)) * 1_000n));
    const latency = Float64Array.from(each(latencyMs));
    return [
      text('request_id', ({ requestId }) => requestId),
      { name: 'row', type: DataType.INT32, shape: [], values: Int32Array.from(each((_, row) => row)) },
      text('model', ({ model }) => model),
      text('model_version', ({ modelVersion }) => modelVersion),
      { name: 'time', type: DataType.TIMESTAMP, shape: [], values: time },
      { name: 'latency_ms', type: DataType.FLOAT64, shape: [], values: latency },
      text('outcome', ({ outcome }) => outcome),
    ];
  }

  #tensorColumn(head: ColumnHead): Column {
    const width = widthOf(head.shape);
    const valid = new Uint8Array(this.#rows);
    const numbers = numericArray(head.type, this.#rows * width);
    const texts: string[] = numbers === undefined ? Array.from({ length: this.#rows }, () => '') : [];
    let start = 0;
    for (const sample of this.#samples) {
      const rows = rowsOf(sample);
      const part = partsOf(sample).find(({ prefix, tensor }) => `${prefix}.${tensor.name}` === head.name);
      const values = part === undefined ? undefined : columnValues(part.tensor, rows);
      if (values !== undefined) {
        valid.fill(1, start, start + rows);
        if (numbers === undefined) texts.splice(start, rows, ...(values as readonly string[]));
        else (numbers as Float64Array).set(values as Float64Array, start * width);
      }
      start += rows;
    }
    return { ...head, values: numbers ?? texts, valid };
  }
}

/** Bytes that a sample takes in memory, roughly. */
export function sizeOfSample({ inputs, outputs }: InferenceSample): number {
  return [...inputs, ...outputs].reduce((sum, { contents }) => sum + contents.byteLength + 200, 500);
}

function partsOf({ inputs, outputs }: InferenceSample): Part[] {
  const part =
    (prefix: string) =>
    (tensor: SampleTensor): Part => ({ prefix, tensor });
  return [...inputs.map(part('input')), ...outputs.map(part('output'))];
}

function rowsOf({ rows }: InferenceSample): number {
  return Math.max(1, rows);
}

function timeMs({ time }: InferenceSample): number {
  return time === undefined ? 0 : timestampMs(time);
}

function latencyMs({ latency }: InferenceSample): number {
  return latency === undefined ? 0 : Number(latency.seconds) * 1_000 + latency.nanos / 1e6;
}

function isLike(head: ColumnHead, known: ColumnHead | undefined): boolean {
  return known === undefined || (known.type === head.type && String(known.shape) === String(head.shape));
}
