import process from 'node:process';
import type { Logger } from '../sdk/index.ts';
import type { LogBook } from './log-book.ts';
import { redactText, toLogValue } from './log-value.ts';

/** Levels from the noisiest to the quietest. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;

/** Name of a level; `silent` writes nothing. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Options of {@link createLogger}. */
export interface LoggerOptions {
  /** Lowest level that is written; default `info`. */
  readonly level?: LogLevel | undefined;
  /** `json` for machines, `human` for people; default: `human` when stderr is a terminal. */
  readonly format?: 'json' | 'human' | undefined;
  /** Receives each line with its line feed; default stderr, since stdout belongs to command results. */
  readonly write?: ((line: string) => void) | undefined;
  /** Keeps the last lines of each plugin, and knows the level of each; none by default. */
  readonly book?: LogBook | undefined;
  /** Current time, milliseconds since the epoch. */
  readonly now?: (() => number) | undefined;
}

/** The kernel's logger: the sdk's {@link Logger} plus children and a level that may change while it runs. */
export interface KernelLogger extends Logger {
  /** Lowest level written now, shared with all children. */
  level: LogLevel;
  /** A logger whose lines carry these fields too, for example `{ plugin: 'data.store' }`. */
  child(fields: Readonly<Record<string, unknown>>): KernelLogger;
}

type WrittenLevel = Exclude<LogLevel, 'silent'>;

interface Sink {
  level: LogLevel;
  readonly format: 'json' | 'human';
  readonly write: (line: string) => void;
  readonly now: () => number;
  readonly book: LogBook | undefined;
}

/** Creates a root logger that writes one line an event. */
export function createLogger(options: LoggerOptions = {}): KernelLogger {
  return new LineLogger(
    {
      level: options.level ?? 'info',
      format: options.format ?? (process.stderr.isTTY ? 'human' : 'json'),
      write: options.write ?? ((line) => void process.stderr.write(line)),
      now: options.now ?? Date.now,
      book: options.book,
    },
    {},
  );
}

class LineLogger implements KernelLogger {
  readonly #sink: Sink;
  readonly #bound: Readonly<Record<string, unknown>>;

  constructor(sink: Sink, bound: Readonly<Record<string, unknown>>) {
    this.#sink = sink;
    this.#bound = bound;
  }

  get level(): LogLevel {
    return this.#sink.level;
  }

  set level(level: LogLevel) {
    this.#sink.level = level;
  }

  child(fields: Readonly<Record<string, unknown>>): KernelLogger {
    return new LineLogger(this.#sink, { ...this.#bound, ...fields });
  }

  debug(message: string, fields?: Readonly<Record<string, unknown>>): void {
    this.#log('debug', message, fields);
  }

  info(message: string, fields?: Readonly<Record<string, unknown>>): void {
    this.#log('info', message, fields);
  }

  warn(message: string, fields?: Readonly<Record<string, unknown>>): void {
    this.#log('warn', message, fields);
  }

  error(message: string, fields?: Readonly<Record<string, unknown>>): void {
    this.#log('error', message, fields);
  }

  #log(level: WrittenLevel, message: string, fields: Readonly<Record<string, unknown>> | undefined): void {
    const { book } = this.#sink;
    if (book !== undefined) this.#logInto(book, level, { message, fields });
    else if (isAtLeast(level, this.#sink.level)) this.#write(this.#entry(level, { message, fields }));
  }

  #logInto(book: LogBook, level: WrittenLevel, line: Line): void {
    const plugin = typeof this.#bound['plugin'] === 'string' ? this.#bound['plugin'] : '';
    const { isWritten, isKept } = this.#destinations(level, book.level(plugin));
    if (!isKept || (plugin !== '' && !book.admit(plugin))) return;
    const entry = this.#entry(level, line);
    const dropped = book.takeDropped(plugin);
    if (isWritten) {
      this.#write(dropped === 0 ? entry : { ...entry, fields: { ...entry.fields, droppedLines: dropped } });
    }
    const { plugin: _plugin, ...fields } = entry.fields;
    book.add({ ...entry, plugin, fields: plugin === '' ? entry.fields : fields, dropped });
  }

  /** The book keeps what a person would want to see afterwards, though stderr was to be quieter. */
  #destinations(
    level: WrittenLevel,
    chosen: LogLevel | undefined,
  ): { readonly isWritten: boolean; readonly isKept: boolean } {
    const { level: own } = this.#sink;
    const isWritten = own !== 'silent' && isAtLeast(level, chosen ?? own);
    return { isWritten, isKept: isWritten || isAtLeast(level, chosen ?? 'info') };
  }

  #entry(level: WrittenLevel, { message, fields }: Line): Entry {
    return {
      timeMs: this.#sink.now(),
      level,
      message: redactText(String(message)),
      fields: toLogValue({ ...fields, ...this.#bound }) as Record<string, unknown>,
    };
  }

  #write(entry: Entry): void {
    this.#sink.write(this.#sink.format === 'json' ? jsonLine(entry) : humanLine(entry));
  }
}

interface Line {
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>> | undefined;
}

function isAtLeast(level: WrittenLevel, lowest: LogLevel): boolean {
  return LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(lowest);
}

interface Entry {
  readonly timeMs: number;
  readonly level: WrittenLevel;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** The fixed keys are assigned last too, so that no field can forge them. */
function jsonLine({ timeMs, level, message, fields }: Entry): string {
  const time = new Date(timeMs).toISOString();
  return `${JSON.stringify(Object.assign({ time, level }, fields, { time, level, message }))}\n`;
}

const COLORS: Readonly<Record<WrittenLevel, string>> = { debug: '90', info: '36', warn: '33', error: '31' };

function humanLine({ timeMs, level, message, fields }: Entry): string {
  const { plugin, error, ...rest } = fields;
  const clock = new Date(timeMs).toISOString().slice(11, 23);
  const source = typeof plugin === 'string' ? ` ${printable(plugin)}:` : '';
  const pairs = Object.entries(rest).map(([key, value]) => ` ${printable(key)}=${printable(shown(value))}`);
  const head = `${clock} \u001b[${COLORS[level]}m${level.padEnd(5)}\u001b[0m${source} ${printable(message)}`;
  return `${head}${pairs.join('')}${errorLines(error)}\n`;
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? 'undefined');
}

/** An error goes below its line with its stack, as people read it. */
function errorLines(error: unknown): string {
  if (error === undefined) return '';
  const lines: string[] = [];
  for (let current: unknown = error; current !== undefined; current = causeOf(current)) {
    const text = stackOf(current) ?? shown(current);
    lines.push(...text.split('\n').map((line) => `\n    ${printable(line)}`));
  }
  return lines.join('');
}

function stackOf(value: unknown): string | undefined {
  const stack = (value as { stack?: unknown } | null)?.stack;
  return typeof stack === 'string' ? stack : undefined;
}

function causeOf(value: unknown): unknown {
  return stackOf(value) === undefined ? undefined : (value as { cause?: unknown }).cause;
}

/** Keeps a hostile string from forging lines or driving the terminal. */
function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what this removes
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
