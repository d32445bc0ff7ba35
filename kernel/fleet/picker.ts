/** What a picker goes by. */
export interface Choice {
  /** Calls that run there. */
  readonly inFlight: number;
  /** How many calls it should get beside others, by the load that it reports; 0 while that is not known. */
  readonly weight: number;
}

/** Chooses who gets the next call. */
export interface Picker {
  /** One of those that are eligible; `undefined` when none is. */
  pick<Place extends Choice>(
    places: readonly Place[],
    isEligible: (place: Place) => boolean,
  ): Place | undefined;
}

/** The one with the fewest calls; those with equally many take turns. */
export class LeastCalls implements Picker {
  #turn = 0;

  pick<Place extends Choice>(
    places: readonly Place[],
    isEligible: (place: Place) => boolean,
  ): Place | undefined {
    const count = places.length;
    let least: Place | undefined;
    let turn = this.#turn;
    for (let step = 0; step < count; step += 1) {
      const index = (this.#turn + step) % count;
      const place = places[index];
      if (place === undefined || !isEligible(place)) continue;
      if (least !== undefined && place.inFlight >= least.inFlight) continue;
      least = place;
      turn = index + 1;
    }
    this.#turn = turn;
    return least;
  }
}

/**
 * Turns in proportion to the weights, spread evenly: each earns its weight with every call, and the richest gets the call
 * and pays for it. One whose weight is not known counts as an average one; with fewer than two that are known all are
 * equal, since there is nothing to compare.
 */
export class WeightedTurns implements Picker {
  readonly #credits: WeakMap<Choice, number> = new WeakMap();

  pick<Place extends Choice>(
    places: readonly Place[],
    isEligible: (place: Place) => boolean,
  ): Place | undefined {
    const eligible = places.filter(isEligible);
    const weights = eligible.map(({ weight }) => weight);
    const known = weights.filter((weight) => weight > 0);
    const average = known.reduce((sum, weight) => sum + weight, 0) / known.length;
    let total = 0;
    let best: Place | undefined;
    let most = Number.NEGATIVE_INFINITY;
    for (const [index, place] of eligible.entries()) {
      const weight = weights[index] ?? 0;
      // In units of the average, so that credit earned under other weights is worth as much now.
      const share = known.length >= 2 && weight > 0 ? weight / average : 1;
      const credit = (this.#credits.get(place) ?? 0) + share;
      this.#credits.set(place, credit);
      total += share;
      if (credit <= most) continue;
      [best, most] = [place, credit];
    }
    if (best !== undefined) this.#credits.set(best, most - total);
    return best;
  }
}
