import { ArrowInvalid } from './errors.ts';

/**
 * How many tables may be visited: offsets may point to the same table again and again, so the bytes alone do not bound
 * the work. A table takes four bytes at least.
 */
export class ReadBudget {
  #tables: number;

  constructor(sizeBytes: number) {
    this.#tables = sizeBytes >> 2;
  }

  spend(): void {
    this.#tables -= 1;
    if (this.#tables < 0) throw new ArrowInvalid({ problem: 'its metadata refers to itself' });
  }
}

/**
 * A FlatBuffers table, read with every position checked.
 *
 * @remarks Source: FlatBuffers "Internals": a table starts with the distance back to its vtable, which holds the
 * positions of its fields; strings, vectors and tables are reached by a relative offset. `DataView` refuses positions
 * outside the bytes with a `RangeError`.
 */
export class FlatTable {
  readonly #view: DataView;
  readonly #position: number;
  readonly #budget: ReadBudget;

  constructor(view: DataView, position: number, budget: ReadBudget) {
    budget.spend();
    this.#view = view;
    this.#position = position;
    this.#budget = budget;
  }

  /** The table that a buffer begins with. */
  static root(view: DataView, budget: ReadBudget): FlatTable {
    return new FlatTable(view, view.getUint32(0, true), budget);
  }

  /** Position of a field, `undefined` when it is absent. */
  #field(index: number): number | undefined {
    const vtable = this.#position - this.#view.getInt32(this.#position, true);
    const entry = 4 + index * 2;
    if (entry + 2 > this.#view.getUint16(vtable, true)) return undefined;
    const offset = this.#view.getUint16(vtable + entry, true);
    return offset === 0 ? undefined : this.#position + offset;
  }

  #target(index: number): number | undefined {
    const field = this.#field(index);
    return field === undefined ? undefined : field + this.#view.getUint32(field, true);
  }

  uint8(index: number): number {
    const field = this.#field(index);
    return field === undefined ? 0 : this.#view.getUint8(field);
  }

  int64(index: number): bigint {
    const field = this.#field(index);
    return field === undefined ? 0n : this.#view.getBigInt64(field, true);
  }

  table(index: number): FlatTable | undefined {
    const target = this.#target(index);
    return target === undefined ? undefined : new FlatTable(this.#view, target, this.#budget);
  }

  /** Start and length of a vector that lies inside the bytes. */
  vector(index: number, elementBytes: number): { start: number; length: number } {
    const target = this.#target(index);
    if (target === undefined) return { start: 0, length: 0 };
    const length = this.#view.getUint32(target, true);
    if (target + 4 + length * elementBytes > this.#view.byteLength) {
      throw new ArrowInvalid({ problem: `its metadata claims a list of ${length} items` });
    }
    return { start: target + 4, length };
  }

  text(index: number): string | undefined {
    const { start, length } = this.vector(index, 1);
    if (start === 0) return undefined;
    const bytes = new Uint8Array(this.#view.buffer, this.#view.byteOffset + start, length);
    return new TextDecoder().decode(bytes);
  }

  *tables(index: number): Generator<FlatTable> {
    const { start, length } = this.vector(index, 4);
    for (let item = 0; item < length; item += 1) {
      const position = start + item * 4;
      yield new FlatTable(this.#view, position + this.#view.getUint32(position, true), this.#budget);
    }
  }

  /** Structs of two 64-bit numbers. */
  *pairs(index: number, elementBytes: number): Generator<readonly [bigint, bigint]> {
    const { start, length } = this.vector(index, elementBytes);
    for (let item = 0; item < length; item += 1) {
      const position = start + item * elementBytes;
      yield [this.#view.getBigInt64(position, true), this.#view.getBigInt64(position + 8, true)];
    }
  }
}
