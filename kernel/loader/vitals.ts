/** Who noticed: the instance's own health service, or the circuit breaker that saw its calls fail. */
export type Symptom = 'health' | 'circuit';

/** How an instance that runs is doing. One without a health service of its own is known by its calls alone. */
export class Vitals {
  readonly #ailments: Map<Symptom, string> = new Map();
  /** Told after each change. */
  onChange: (() => void) | undefined;

  /** What is wrong, for people; empty when it is well. */
  get ailment(): string {
    return [...this.#ailments.values()].join('; ');
  }

  /** Whether it says itself that it does not serve. */
  get isUnhealthy(): boolean {
    return this.#ailments.has('health');
  }

  /** @param ailment - Empty when it is over. */
  set(symptom: Symptom, ailment: string): void {
    if ((this.#ailments.get(symptom) ?? '') === ailment) return;
    if (ailment === '') this.#ailments.delete(symptom);
    else this.#ailments.set(symptom, ailment);
    this.onChange?.();
  }
}
