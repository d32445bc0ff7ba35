/**
 * Whether an instance gets events: one that is out of service and waits to be called back does not, since its successor
 * handles them.
 */
export class EventGate {
  #closed: PromiseWithResolvers | undefined;

  get isClosed(): boolean {
    return this.#closed !== undefined;
  }

  close(): void {
    this.#closed ??= withResolvers();
  }

  open(): void {
    this.#closed?.resolve();
    this.#closed = undefined;
  }

  /** Resolves when it is open, or at the signal. */
  async whenOpen(signal: AbortSignal): Promise<void> {
    while (this.#closed !== undefined && !signal.aborted) {
      const { promise, resolve } = this.#closed;
      signal.addEventListener('abort', resolve, { once: true });
      await promise;
      signal.removeEventListener('abort', resolve);
    }
  }
}

interface PromiseWithResolvers {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

function withResolvers(): PromiseWithResolvers {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
