import { constants } from 'node:os';
import type { Terminal } from './terminal.ts';

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** Waits for SIGTERM or SIGINT; the second one ends the process at once. */
export class StopSignal {
  readonly #controller: AbortController = new AbortController();
  readonly #terminal: Terminal;
  readonly #listener: (signal: NodeJS.Signals) => void;
  /** Aborted by the first signal. */
  readonly signal: AbortSignal = this.#controller.signal;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    this.#listener = (signal) => {
      this.#receive(signal);
    };
    for (const name of SIGNALS) process.on(name, this.#listener);
  }

  #receive(signal: NodeJS.Signals): void {
    if (this.signal.aborted) {
      // 128 + number of the signal: how a shell names a process that a signal has ended.
      this.#terminal.exit(128 + constants.signals[signal]);
      return;
    }
    this.#terminal.err(`${signal}: finishing the calls that run; once more stops at once.`);
    this.#controller.abort(new Error(`stopped by ${signal}`));
  }

  /** Resolves with the first signal. */
  async received(): Promise<void> {
    if (this.signal.aborted) return;
    await new Promise<void>((resolve) => {
      this.signal.addEventListener(
        'abort',
        () => {
          resolve();
        },
        { once: true },
      );
    });
  }

  close(): void {
    for (const name of SIGNALS) process.off(name, this.#listener);
  }
}
