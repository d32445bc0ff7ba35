/** Lets work on one key happen one after another, and work on different keys at once. */
export class KeyedTurns {
  readonly #last: Map<string, Promise<void>> = new Map();

  /** Runs work once all earlier work on its key is over, however that ended. */
  async run(key: string, work: () => Promise<void>): Promise<void> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const turn = before.then(work, work);
    const settled = turn.then(
      () => undefined,
      () => undefined,
    );
    this.#last.set(key, settled);
    await turn.finally(() => {
      if (this.#last.get(key) === settled) this.#last.delete(key);
    });
  }
}
