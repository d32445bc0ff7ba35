import { SingleBar } from 'cli-progress';
import type { StageProgress, StageReporter } from '../../examples/digits/stage-reporter.ts';
import type { Terminal } from './terminal.ts';

const NAME_WIDTH = 11;

/** Prints one line a stage when it is done; a person at a terminal sees a bar until then. */
export class StageLines implements StageReporter {
  readonly #terminal: Terminal;
  readonly #write: (line: string) => void;
  #bar: SingleBar | undefined;

  /** @param write - Takes the lines; stdout by default, stderr where stdout belongs to a result. */
  constructor(terminal: Terminal, write: (line: string) => void = terminal.out) {
    this.#terminal = terminal;
    this.#write = write;
  }

  started(name: string): void {
    this.#endBar();
    if (!this.#terminal.isInteractive) return;
    this.#bar = new SingleBar({
      format: `${name.padEnd(NAME_WIDTH)} [{bar}] {percentage}% {unit}`,
      barsize: 30,
      clearOnComplete: true,
      // A process that is stopped at once could not switch it on again.
      linewrap: true,
      stream: process.stdout,
    });
    this.#bar.start(1, 0, { unit: '' });
  }

  progress(_name: string, { done, total, unit }: StageProgress): void {
    if (this.#bar === undefined || total <= 0) return;
    this.#bar.setTotal(total);
    this.#bar.update(Math.min(done, total), { unit });
  }

  done(name: string, message: string, durationMs: number): void {
    this.#endBar();
    const time = `${(durationMs / 1000).toFixed(2)} s`;
    this.#write(`${name.padEnd(NAME_WIDTH)} ${time.padStart(8)}  ${message}`.trimEnd());
  }

  failed(name: string, message: string): void {
    this.#endBar();
    this.#write(`${name.padEnd(NAME_WIDTH)}   failed  ${message}`.trimEnd());
  }

  #endBar(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }
}
