/** What the kernel waits for while an operation runs. */
export const GATES = ['admit', 'prepare', 'start', 'stop', 'crash'] as const;

/** One of {@link GATES}. */
export type GateName = (typeof GATES)[number];

/** Lets the steps of operations wait until a test lets them go on, so that operations meet in every order. */
export class Gates {
  readonly #waiting: Map<GateName, (() => void)[]> = new Map();

  /** Whoever comes to the gate from now on waits. */
  close(name: GateName): void {
    if (!this.#waiting.has(name)) this.#waiting.set(name, []);
  }

  /** Lets everybody go on. */
  open(name: GateName): void {
    const waiting = this.#waiting.get(name) ?? [];
    this.#waiting.delete(name);
    for (const goOn of waiting) goOn();
  }

  /** Lets the one go on that has waited longest. */
  openOnce(name: GateName): void {
    this.#waiting.get(name)?.shift()?.();
  }

  openAll(): void {
    for (const name of GATES) this.open(name);
  }

  /** Resolves when the gate is open. */
  async pass(name: GateName): Promise<void> {
    const waiting = this.#waiting.get(name);
    if (waiting === undefined) return;
    await new Promise<void>((resolve) => {
      waiting.push(resolve);
    });
  }
}
