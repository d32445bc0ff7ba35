import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';

/** Root of the repository, seen from `dist/test/cli/`. */
export const ROOT: string = path.resolve(import.meta.dirname, '..', '..', '..');

const MAIN = path.join(ROOT, 'dist', 'bin', 'lamella.js');

/** How a process ended and what it printed. */
export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** `lamella` as a process of its own. */
export class Lamella {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves when it has said that it is stopping. */
  readonly stopping: Promise<void>;

  constructor(words: readonly string[]) {
    const child = spawn(process.execPath, [MAIN, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    this.process = child;
    this.stopping = new Promise((resolve) => {
      child.stderr.on('data', () => {
        if (Buffer.concat(err).includes('once more stops at once')) resolve();
      });
    });
    this.ended = new Promise((resolve) => {
      child.once('close', (code) => {
        resolve({ code, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() });
      });
    });
  }

  /** Resolves when stdout holds a text; rejects if the process ends first. */
  async printed(text: string): Promise<void> {
    let seen = '';
    await new Promise<void>((resolve, reject) => {
      this.process.stdout?.on('data', (chunk: Buffer) => {
        seen += chunk.toString();
        if (seen.includes(text)) resolve();
      });
      void this.ended.then(({ err }) => {
        reject(new Error(`ended before it printed '${text}':\n${err}`));
      });
    });
  }
}
