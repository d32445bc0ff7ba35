/** An item of an {@link IndexedSet}: in one set at a time, and it knows where. */
export interface Indexed {
  /** Place in its set; {@link NOWHERE} while it is in none. */
  index: number;
}

/** {@link Indexed.index} of an item that is in no set. */
export const NOWHERE = -1;

/**
 * A set without order for items that come and go with every call.
 *
 * @remarks A Set or Map would do, but V8 makes a new table each time the old one is full of deleted entries, and the old
 * one points to the new one. Once one of them has grown old, all that was in later ones lives until the next full
 * collection: under load that kept every finished call, and copying them took more time than serving them.
 */
export class IndexedSet<Item extends Indexed> {
  readonly #items: Item[] = [];

  get size(): number {
    return this.#items.length;
  }

  add(item: Item): void {
    if (item.index === NOWHERE) item.index = this.#items.push(item) - 1;
  }

  /** @returns false for an item that is not there. */
  delete(item: Item): boolean {
    const { index } = item;
    if (index === NOWHERE || this.#items[index] !== item) return false;
    const last = this.#items.pop();
    if (last !== undefined && last !== item) {
      this.#items[index] = last;
      last.index = index;
    }
    item.index = NOWHERE;
    return true;
  }

  /** What is in the set now; it may change while this is gone through. */
  values(): Item[] {
    return [...this.#items];
  }
}
