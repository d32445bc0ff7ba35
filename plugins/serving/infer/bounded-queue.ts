/** Items that may wait. */
const ROOM = 64;

/** A queue between who makes items and the one who takes them; makers wait while it is full. */
export class BoundedQueue<Item> implements AsyncIterable<Item> {
  readonly #items: Item[] = [];
  #wakeTaker: () => void = () => undefined;
  #wakeMakers: (() => void)[] = [];
  #isEnded = false;
  #error: Error | undefined;

  /** Resolves when there is room for more. Once the queue has ended, items are thrown away. */
  async push(item: Item): Promise<void> {
    if (this.#isEnded) return;
    this.#items.push(item);
    this.#wakeTaker();
    while (this.#items.length >= ROOM && !this.#isEnded) {
      await new Promise<void>((resolve) => {
        this.#wakeMakers.push(resolve);
      });
    }
  }

  /** No more items come; with an error the taker gets that after those that wait. */
  end(error?: Error): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#error = error;
    this.#wakeTaker();
    this.#wakeAll();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item> {
    try {
      for (;;) {
        const item = this.#items.shift();
        if (item !== undefined) {
          this.#wakeAll();
          yield item;
        } else if (this.#isEnded) {
          if (this.#error !== undefined) throw this.#error;
          return;
        } else {
          await new Promise<void>((resolve) => {
            this.#wakeTaker = resolve;
          });
        }
      }
    } finally {
      this.end();
    }
  }

  #wakeAll(): void {
    for (const wake of this.#wakeMakers.splice(0)) wake();
  }
}
