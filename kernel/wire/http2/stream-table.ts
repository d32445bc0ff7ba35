/** What is found by its id: streams, whose ids grow by two. */
interface Numbered {
  readonly id: number;
}

/**
 * The streams of one connection by id: open addressing with linear probing, without traces of what was deleted.
 *
 * @remarks Not a Map, for the reason told at {@link IndexedSet}.
 */
export class StreamTable<Item extends Numbered> {
  #slots: (Item | undefined)[] = emptySlots(16);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): Item | undefined {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let at = (id >> 1) & mask; ; at = (at + 1) & mask) {
      const item = slots[at];
      if (item === undefined || item.id === id) return item;
    }
  }

  /** Adds an item whose id is not there yet. */
  add(item: Item): void {
    this.#size += 1;
    if (this.#size * 2 > this.#slots.length) this.#grow();
    this.#place(item);
  }

  #place(item: Item): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let at = (item.id >> 1) & mask;
    while (slots[at] !== undefined) at = (at + 1) & mask;
    slots[at] = item;
  }

  #grow(): void {
    const items = this.values();
    this.#slots = emptySlots(this.#slots.length * 2);
    for (const item of items) this.#place(item);
  }

  /** Takes an item out; one that is not there changes nothing. */
  delete({ id }: Item): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let hole = (id >> 1) & mask;
    while (slots[hole]?.id !== id) {
      if (slots[hole] === undefined) return;
      hole = (hole + 1) & mask;
    }
    this.#size -= 1;
    // What was put behind its own place because of the one that goes moves up, or it would not be found any more.
    for (let at = (hole + 1) & mask; ; at = (at + 1) & mask) {
      const item = slots[at];
      if (item === undefined) break;
      const distance = (at - (item.id >> 1)) & mask;
      if (distance < ((at - hole) & mask)) continue;
      slots[hole] = item;
      hole = at;
    }
    slots[hole] = undefined;
  }

  values(): Item[] {
    return this.#slots.filter((item) => item !== undefined);
  }
}

function emptySlots<Item>(count: number): (Item | undefined)[] {
  return Array.from({ length: count }, () => undefined);
}
