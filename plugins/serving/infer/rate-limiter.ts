import type { ModelConfig } from 'lamella/proto/inference/model_config';

/** What a run of a model needs. */
export interface RateLimit {
  /** Units by name of the resource. */
  readonly resources: ReadonlyMap<string, number>;
  /** A model of 2 gets half the turns of one of 1. */
  readonly weight: number;
}

/** One that runs under the limiter. */
export class RateLimited {
  readonly limit: RateLimit;
  /** Runs so far, each as long as the weight says. */
  usedTurns = 0;

  constructor(limit: RateLimit) {
    this.limit = limit;
  }
}

interface Waiting {
  readonly model: RateLimited;
  readonly start: () => void;
}

/**
 * Lets runs of different models share named resources.
 *
 * @remarks As in Triton, there is as much of a resource as the model that needs most of it asks for. What waits runs in the
 * order of the turns that each model had, so that none is left out.
 */
export class RateLimiter {
  readonly #models: Set<RateLimited> = new Set();
  readonly #used: Map<string, number> = new Map();
  readonly #waiting: Waiting[] = [];

  /** Adds a model. It begins with the turns of the one that had the fewest, so that it does not hold up all others. */
  enter(model: RateLimited): void {
    const turns = [...this.#models].map(({ usedTurns }) => usedTurns);
    model.usedTurns = turns.length === 0 ? 0 : Math.min(...turns);
    this.#models.add(model);
  }

  /** Removes a model whose runs are over. */
  leave(model: RateLimited): void {
    this.#models.delete(model);
    this.#startWaiting();
  }

  /** Runs work while the model holds its resources. */
  async run<Result>(model: RateLimited, work: () => Promise<Result>): Promise<Result> {
    await new Promise<void>((start) => {
      this.#waiting.push({ model, start });
      this.#startWaiting();
    });
    try {
      return await work();
    } finally {
      this.#change(model, -1);
      this.#startWaiting();
    }
  }

  #startWaiting(): void {
    // Few wait: one for each instance at the most.
    this.#waiting.sort((left, right) => left.model.usedTurns - right.model.usedTurns);
    // The first that does not fit holds up those behind it, or else a model that needs much would never have its turn.
    for (let next = this.#waiting[0]; next !== undefined && this.#fits(next.model); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#change(next.model, 1);
      next.model.usedTurns += next.model.limit.weight;
      next.start();
    }
  }

  #fits({ limit }: RateLimited): boolean {
    return [...limit.resources].every(
      ([name, count]) => (this.#used.get(name) ?? 0) + count <= this.#capacity(name),
    );
  }

  #capacity(name: string): number {
    return Math.max(0, ...[...this.#models].map(({ limit }) => limit.resources.get(name) ?? 0));
  }

  #change({ limit }: RateLimited, sign: 1 | -1): void {
    for (const [name, count] of limit.resources) {
      this.#used.set(name, (this.#used.get(name) ?? 0) + sign * count);
    }
  }
}

/** Reads the rate limiter of a model's first instance group; `undefined` when it has none. */
export function rateLimitOf({ instanceGroup }: ModelConfig): RateLimit | undefined {
  const limiter = instanceGroup.find(({ rateLimiter }) => rateLimiter !== undefined)?.rateLimiter;
  if (limiter === undefined) return undefined;
  return {
    resources: new Map(limiter.resources.map(({ name, count }) => [name, Math.max(1, count)])),
    weight: Math.max(1, limiter.priority),
  };
}
