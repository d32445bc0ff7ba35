import type { OrtTensor, OrtTensors } from 'lamella/sdk/ort';
import { holds } from './ensemble-conditions.ts';
import type { PlannedStep } from './ensemble-plan.ts';
import type { RequestParameters } from './infer-call.ts';

/** How far one request has come through the steps of an ensemble. */
export class EnsembleProgress {
  readonly #tensors: Record<string, OrtTensor>;
  readonly #parameters: RequestParameters | undefined;
  /** Tensors that will not come: the steps that give them do not run. */
  readonly #absent: Set<string> = new Set();
  /** Steps that have neither started nor been passed over. */
  #left: readonly PlannedStep[];
  readonly #started: PlannedStep[] = [];

  constructor(steps: readonly PlannedStep[], inputs: OrtTensors, parameters: RequestParameters | undefined) {
    this.#tensors = { ...inputs };
    this.#parameters = parameters;
    this.#left = steps;
  }

  /** Tensors that are there. */
  get tensors(): OrtTensors {
    return this.#tensors;
  }

  /** Notes what a step gave under a name. */
  settle(name: string, tensor: OrtTensor | undefined): void {
    if (tensor !== undefined) this.#tensors[name] = tensor;
    // A model gives what it is asked for, unless it is an ensemble with conditions of its own.
    else this.#absent.add(name);
  }

  /** Steps that can start now, each once; those whose condition does not hold are over, with all that hangs on them. */
  takeReady(): readonly PlannedStep[] {
    const ready: PlannedStep[] = [];
    for (let isChanged = true; isChanged;) {
      isChanged = false;
      for (const step of this.#left) {
        const isAbsent = step.needs.some((name) => this.#absent.has(name));
        if (!isAbsent && !step.needs.every((name) => Object.hasOwn(this.#tensors, name))) continue;
        this.#left = this.#left.filter((other) => other !== step);
        if (!isAbsent && this.#isWanted(step)) {
          ready.push(step);
          this.#started.push(step);
          continue;
        }
        for (const name of step.gives) if (!this.#comes(name)) this.#absent.add(name);
        isChanged = true;
      }
    }
    return ready;
  }

  #isWanted({ condition }: PlannedStep): boolean {
    return (
      condition === undefined || holds(condition, { tensors: this.#tensors, parameters: this.#parameters })
    );
  }

  /** True for a tensor that another step gives: of two with opposite conditions one runs. */
  #comes(name: string): boolean {
    return [...this.#left, ...this.#started].some(({ gives }) => gives.includes(name));
  }
}
