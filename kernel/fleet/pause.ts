/** A wait that can be cut short. One at a time. */
export class Pause {
  #wake: (() => void) | undefined;

  /** Resolves after the time, or as soon as somebody calls {@link end}. It does not keep the process alive. */
  async wait(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms).unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }

  end(): void {
    this.#wake?.();
  }
}
