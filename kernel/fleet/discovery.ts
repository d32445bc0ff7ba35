import type { Logger } from '../../sdk/index.ts';
import { addressOf } from '../link/connection.ts';
import type { LinkTarget } from '../link/link-client.ts';
import { steadyMs } from '../steady-clock.ts';
import type { AddressSource } from './addresses.ts';
import { Pause } from './pause.ts';

/** Input of {@link Discovery}. */
export interface DiscoveryParts {
  readonly sources: readonly AddressSource[];
  /** Time between two looks at names, in milliseconds. */
  readonly intervalMs: number;
  readonly log: Logger;
  /** Told after each look what there is now. */
  readonly onTargets: (targets: readonly LinkTarget[]) => void;
}

/** Shortest time between two looks, also when addresses fail one after another, in milliseconds. */
const MIN_INTERVAL_MS = 1_000;

/** Addresses taken of one plugin; a name that stands for more is a mistake or an attack. */
const MAX_TARGETS = 256;

/** Keeps looking up which machines the addresses of a plugin stand for. */
export class Discovery {
  readonly #parts: DiscoveryParts;
  /** What each source last said: a name that cannot be resolved now has not moved. */
  readonly #known: Map<AddressSource, readonly LinkTarget[]> = new Map();
  readonly #pause: Pause = new Pause();
  readonly #watching: Promise<void>;
  #obstacle = '';
  #isHurried = false;
  #isClosed = false;

  constructor(parts: DiscoveryParts) {
    this.#parts = parts;
    this.#watching = this.#watch();
  }

  /** Why a name could not be resolved, for people; empty when all could. */
  get obstacle(): string {
    return this.#obstacle;
  }

  /** Looks again soon: an address failed, and the name may stand for another by now. */
  hurry(): void {
    this.#isHurried = true;
    this.#pause.end();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#pause.end();
    await this.#watching;
  }

  async #watch(): Promise<void> {
    const { sources, intervalMs } = this.#parts;
    const isFixed = sources.every((source) => source.isFixed);
    while (!this.#isClosed) {
      await this.#look();
      if (isFixed) return;
      const shortestMs = Math.min(MIN_INTERVAL_MS, intervalMs);
      const nextMs = steadyMs() + shortestMs;
      if (!this.#isClosed && !this.#isHurried) await this.#pause.wait(intervalMs);
      this.#isHurried = false;
      if (!this.#isClosed && steadyMs() < nextMs) await this.#pause.wait(nextMs - steadyMs());
    }
  }

  async #look(): Promise<void> {
    const { sources, onTargets } = this.#parts;
    const problems = await Promise.all(sources.map((source) => this.#resolve(source)));
    const obstacle = problems.filter((problem) => problem !== '').join('; ');
    if (obstacle !== '' && obstacle !== this.#obstacle) {
      this.#parts.log.warn('a name could not be resolved; what it stood for before is kept', { obstacle });
    }
    this.#obstacle = obstacle;
    if (this.#isClosed) return;
    const targets = new Map([...this.#known.values()].flat().map((target) => [addressOf(target), target]));
    onTargets([...targets.values()].slice(0, MAX_TARGETS));
  }

  async #resolve(source: AddressSource): Promise<string> {
    try {
      this.#known.set(source, await source.targets());
      return '';
    } catch (error) {
      return `${source.text}: ${(error as Error).message}`;
    }
  }
}
