import { SequencesFull } from './errors.ts';

/** Where the state of a sequence is. */
export interface SequenceHome {
  readonly split: string;
  readonly address: string;
}

interface Kept extends SequenceHome {
  readonly usedMs: number;
}

const LIMIT = 100_000;

/** A sequence that was silent for so long may be forgotten, in milliseconds. */
const IDLE_MS = 600_000;

/** Remembers for each sequence which endpoint has its state, until it ends. */
export class Sequences {
  readonly #model: string;
  readonly #now: () => number;
  /** The longest silent first. */
  readonly #homes: Map<string, Kept> = new Map();

  constructor(model: string, now: () => number = () => performance.now()) {
    this.#model = model;
    this.#now = now;
  }

  homeOf(id: string): SequenceHome | undefined {
    const home = this.#homes.get(id);
    if (home !== undefined) this.#put(id, home);
    return home;
  }

  /** @throws SEQUENCES_FULL */
  begin(id: string, home: SequenceHome): void {
    if (!this.#homes.has(id)) this.#makeRoom();
    this.#put(id, home);
  }

  end(id: string): void {
    this.#homes.delete(id);
  }

  #put(id: string, { split, address }: SequenceHome): void {
    this.#homes.delete(id);
    this.#homes.set(id, { split, address, usedMs: this.#now() });
  }

  #makeRoom(): void {
    if (this.#homes.size < LIMIT) return;
    const [oldest] = this.#homes;
    if (oldest === undefined || this.#now() - oldest[1].usedMs < IDLE_MS)
      throw new SequencesFull({ model: this.#model, limit: String(LIMIT) });
    this.#homes.delete(oldest[0]);
  }
}
