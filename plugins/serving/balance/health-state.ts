/** Answers in a row that change what counts. */
export interface HealthThresholds {
  readonly unhealthyThreshold: number;
  readonly healthyThreshold: number;
}

/** Whether an endpoint says that it serves; one that was not asked yet counts as serving. */
export class HealthState {
  isHealthy = true;
  obstacle = '';
  #good = 0;
  #bad = 0;

  /** Takes in an answer; an empty obstacle means that it serves. @returns whether that changed what counts */
  take(obstacle: string, { unhealthyThreshold, healthyThreshold }: HealthThresholds): boolean {
    const isGood = obstacle === '';
    this.#good = isGood ? this.#good + 1 : 0;
    this.#bad = isGood ? 0 : this.#bad + 1;
    const turns = this.isHealthy ? this.#bad >= unhealthyThreshold : this.#good >= healthyThreshold;
    if (turns) this.isHealthy = isGood;
    this.obstacle = this.isHealthy ? '' : obstacle || this.obstacle;
    return turns;
  }
}
