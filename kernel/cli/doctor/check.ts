import { wrap } from '../error-text.ts';

/** How one check came out; only `failed` keeps Lamella from working. */
export type Verdict = 'ok' | 'note' | 'warning' | 'failed';

/** One thing that `lamella doctor` looked at. */
export interface Check {
  /** Stable name for scripts, such as `port.grpc`. */
  readonly name: string;
  readonly verdict: Verdict;
  /** What was found. */
  readonly detail: string;
  /** What to do about it; left out where there is nothing to do. */
  readonly repair?: string;
}

/** Checks as lines of 80 columns, with what to do under those that need it. */
export function checksText(checks: readonly Check[]): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  return checks
    .flatMap(({ name, verdict, detail, repair }) => [
      hanging(`${verdict.padEnd(8)}${name.padEnd(width)}  `, detail),
      ...(repair === undefined ? [] : [hanging(' '.repeat(10 + width), `-> ${repair}`)]),
    ])
    .join('\n');
}

/** A text behind a head, its further lines below its first one. */
function hanging(head: string, text: string): string {
  const lines = wrap(text, 80 - head.length).split('\n');
  return lines
    .map((line, index) => (index === 0 ? head : ' '.repeat(head.length)) + line.trimStart())
    .join('\n');
}
