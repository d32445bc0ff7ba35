/** Lets changes of one plugin happen one after another, and those of different plugins side by side. */
export class Turns {
  /** End of the queue of each plugin that has one, by its id. */
  readonly #last: Map<string, Promise<unknown>> = new Map();

  /** Does some work when everything that was asked of the plugin before is done, however that ended. */
  async take<Result>(pluginId: string, work: () => Promise<Result>): Promise<Result> {
    const before = this.#last.get(pluginId) ?? Promise.resolve();
    const result = before.then(work);
    const last = result.then(
      () => undefined,
      () => undefined,
    );
    this.#last.set(pluginId, last);
    try {
      return await result;
    } finally {
      if (this.#last.get(pluginId) === last) this.#last.delete(pluginId);
    }
  }
}
