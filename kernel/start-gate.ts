import type { Call } from './call.ts';
import { KernelStarting } from './errors.ts';

/** Calls that wait at once; more are refused. */
const MAX_WAITING = 1_000;

/** Longest wait, in milliseconds: reading a thousand manifests takes less than a second. */
const WAIT_MS = 10_000;

/** Holds calls of services that nobody provides yet, while the kernel reads what it has to load. */
export class StartGate {
  readonly #waiting: Set<() => void> = new Set();
  #isOpen = false;

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** All that is to be loaded at the start is known. */
  open(): void {
    this.#isOpen = true;
    for (const go of this.#waiting) go();
    this.#waiting.clear();
  }

  /** @throws KERNEL_STARTING when too many wait, or it takes too long; why the call was ended meanwhile. */
  async wait(service: string, call: Call): Promise<void> {
    if (this.#waiting.size >= MAX_WAITING) throw new KernelStarting({ service });
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(go);
        reject(new KernelStarting({ service }));
      }, WAIT_MS);
      const go = (): void => {
        clearTimeout(timer);
        resolve();
      };
      this.#waiting.add(go);
    });
    if (call.abortReason !== undefined) call.throwIfAborted();
  }
}
