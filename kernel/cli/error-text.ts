import { codeName, type DeclaredError, isDeclaredError } from '../../sdk/index.ts';
import { LinkUnreachable } from '../link/errors.ts';
import { EXIT } from './exit-code.ts';

const WIDTH = 80;

/** What helps in most cases where nobody answers. */
const WHERE =
  "(a kernel is started with 'lamella start'; --address, --home or LAMELLA_ADDRESS say where one runs)";

/** Explains an error in sentences that fit a terminal of 80 columns, without a stack. */
export function errorText(error: unknown): string {
  if (isUnreachable(error)) return wrap(`error: ${error.message} [${error.reason}]\n${WHERE}`);
  if (isDeclaredError(error)) return wrap(`error: ${error.message} [${error.reason}]`);
  if (error instanceof Error && 'code' in error && typeof error.code === 'number') {
    return wrap(`error: ${error.message} [${codeName(error.code as Parameters<typeof codeName>[0])}]`);
  }
  return wrap(`error: ${error instanceof Error ? error.message : String(error)}`);
}

/** The exit code that fits an error. */
export function exitCodeOf(error: unknown): number {
  return isUnreachable(error) ? EXIT.unreachable : EXIT.failure;
}

function isUnreachable(error: unknown): error is DeclaredError {
  return isDeclaredError(error) && error.reason === LinkUnreachable.definition.reason;
}

/** Breaks a text at spaces; words longer than a line, such as paths, stay whole so that they can be copied. */
export function wrap(text: string, width: number = WIDTH): string {
  return text
    .split('\n')
    .map((line) => wrapLine(line, width))
    .join('\n');
}

function wrapLine(line: string, width: number): string {
  const lines: string[] = [];
  let current = '';
  for (const word of line.split(' ')) {
    if (current !== '' && current.length + 1 + word.length > width) {
      lines.push(current);
      current = `  ${word}`;
    } else current = current === '' && lines.length === 0 ? word : `${current} ${word}`;
  }
  return [...lines, current].join('\n');
}
