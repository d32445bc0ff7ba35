import { combined, unitOf } from './key-hash.ts';

/** What a picker may choose. */
export interface Choice {
  /** Weight against the others, above 0. */
  readonly weight: number;
  /** Requests running there now. */
  readonly inFlight: number;
  /** Hash of its name. */
  readonly seed: number;
}

/** Chooses one of several; the list may be another one each time. */
export interface Picker {
  /** @param keyHash - Hash of the request's key, a random one where it has none. */
  pick<Item extends Choice>(items: readonly Item[], keyHash: number): Item | undefined;
}

/** One after the other. */
export class RoundRobin implements Picker {
  #turn = 0;

  pick<Item extends Choice>(items: readonly Item[]): Item | undefined {
    this.#turn = (this.#turn + 1) % 0x1_0000_0000;
    return items[this.#turn % items.length];
  }
}

/** The one with the fewest requests for its weight; equals take turns. */
export class LeastLoaded implements Picker {
  #turn = 0;

  pick<Item extends Choice>(items: readonly Item[]): Item | undefined {
    this.#turn = (this.#turn + 1) % 0x1_0000_0000;
    let least: Item | undefined;
    for (let step = 0; step < items.length; step += 1) {
      const item = items[(this.#turn + step) % items.length];
      if (item !== undefined && (least === undefined || loadOf(item) < loadOf(least))) least = item;
    }
    return least;
  }
}

/** Load that one more request would make. */
function loadOf({ inFlight, weight }: Choice): number {
  return (inFlight + 1) / weight;
}

/**
 * The one with fewer requests for its weight out of two chosen at random: nearly as even as asking all, and many
 * balancers do not run to the same one (M. Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, 1996).
 */
export class PowerOfTwo implements Picker {
  readonly #random: () => number;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  pick<Item extends Choice>(items: readonly Item[]): Item | undefined {
    const count = items.length;
    if (count < 2) return items[0];
    const first = Math.floor(this.#random() * count);
    const second = (first + 1 + Math.floor(this.#random() * (count - 1))) % count;
    const [one, other] = [items[first], items[second]];
    if (one === undefined || other === undefined) return one ?? other;
    return loadOf(other) < loadOf(one) ? other : one;
  }
}

/** In turn, each as often as its weight says, and spread out evenly: who has waited longest for its weight comes next. */
export class Weighted implements Picker {
  #credits: WeakMap<Choice, number> = new WeakMap();

  pick<Item extends Choice>(items: readonly Item[]): Item | undefined {
    let total = 0;
    let next: Item | undefined;
    let most = -Infinity;
    for (const item of items) {
      total += item.weight;
      const credit = (this.#credits.get(item) ?? 0) + item.weight;
      this.#credits.set(item, credit);
      if (credit <= most) continue;
      next = item;
      most = credit;
    }
    if (next !== undefined) this.#credits.set(next, most - total);
    return next;
  }
}

/** How much more than its part one may have before keys go on to the next. */
const BOUND = 1.25;

/**
 * By the hash of the key: the highest score wins, so that one that comes or goes moves only its own part of the keys.
 * One that has more than 1.25 times its part of the requests is passed over for the next.
 *
 * @remarks Rendezvous hashing (D. Thaler, C. Ravishankar, 1996) with weights (C. Schindelhauer, G. Schomaker, 2005) and
 * bounded loads (V. Mirrokni, M. Thorup, M. Zadimoghaddam, 2016).
 */
export class ConsistentHash implements Picker {
  pick<Item extends Choice>(items: readonly Item[], keyHash: number): Item | undefined {
    let weights = 0;
    let running = 0;
    for (const { weight, inFlight } of items) {
      weights += weight;
      running += inFlight;
    }
    let best: Item | undefined;
    let highest = -Infinity;
    for (const item of items) {
      const limit = Math.ceil((BOUND * (running + 1) * item.weight) / weights);
      if (item.inFlight >= limit) continue;
      // A hash of 0 would have no logarithm.
      const score = -item.weight / Math.log(unitOf(combined(item.seed, keyHash) || 1));
      if (score <= highest) continue;
      best = item;
      highest = score;
    }
    return best;
  }
}
