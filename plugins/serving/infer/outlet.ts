interface Sent<Item> {
  readonly item: Item;
  readonly taken: (isTaken: boolean) => void;
}

/** Where several senders hand items to one reader, each waiting until its item is taken: nothing piles up. */
export class Outlet<Item> {
  readonly #waiting: Sent<Item>[] = [];
  #wakeReader: (() => void) | undefined;
  #isOver = false;
  #failure: { readonly error: unknown } | undefined;

  /** Hands over an item. @returns false when nobody reads any more */
  send(item: Item): Promise<boolean> {
    if (this.#isOver) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#waiting.push({ item, taken: resolve });
      this.#wakeReader?.();
    });
  }

  /** Ends the reader after what waits. */
  end(): void {
    this.#isOver = true;
    this.#wakeReader?.();
  }

  /** Ends the reader with an error, after what waits. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.end();
  }

  /** Nobody reads any more: senders go away. */
  close(): void {
    this.#isOver = true;
    for (const { taken } of this.#waiting.splice(0)) taken(false);
  }

  /** All items, for one reader. */
  async *items(): AsyncGenerator<Item> {
    for (;;) {
      const next = this.#waiting.shift();
      if (next !== undefined) {
        next.taken(true);
        yield next.item;
      } else if (this.#isOver) {
        if (this.#failure !== undefined) throw this.#failure.error;
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wakeReader = resolve;
        });
      }
    }
  }
}
