import type { Logger } from 'lamella/sdk';
import type { LoadedModel } from './loaded-model.ts';

/** Models that take no more requests and end when theirs are answered. */
export class LeavingModels {
  readonly #log: Logger;
  readonly #leaving: Set<Promise<void>> = new Set();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Lets models end. */
  add(models: readonly LoadedModel[]): void {
    for (const model of models) {
      const leaving = model
        .close()
        .catch((error: unknown) => this.#log.error('A model did not end', { model: model.shape.name, error }))
        .finally(() => this.#leaving.delete(leaving));
      this.#leaving.add(leaving);
    }
  }

  /** Waits for all of them. */
  async ended(): Promise<void> {
    await Promise.all(this.#leaving);
  }
}
