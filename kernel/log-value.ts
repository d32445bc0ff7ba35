const REDACTED = '[redacted]';
const MAX_DEPTH = 6;
const MAX_ENTRIES = 100;
const MAX_TEXT = 8192;

/** Field names that hold a credential in the programs we know; numbers and booleans under them (`maxTokens`) stay. */
const SECRET_NAME =
  /pass(word|wd|phrase)|secret|token|authori[sz]ation|cookie|credential|(api|access|private|encryption)[-_]?key|^x-key$|session[-_]?id/i;
/** Credentials inside free text: `Bearer …` and the user part of a URL. */
const BEARER = /\b(bearer|basic)\s+[\w.~+/=-]{8,}/gi;
const URL_USER = /(\b[a-z][a-z0-9+.-]{1,20}:\/\/)[^\s/@]{1,256}@/gi;

/** Replaces credentials that stand inside free text, and cuts text of absurd length. */
export function redactText(text: string): string {
  const cut = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}… (${text.length} characters)` : text;
  return cut.replace(BEARER, `$1 ${REDACTED}`).replace(URL_USER, `$1${REDACTED}@`);
}

/**
 * Turns any value into plain JSON data for a log line: secrets redacted, errors with stack and causes, bytes as a
 * length, cycles, depth and length bounded. Never throws, since a log line must not fail the work it tells about.
 */
export function toLogValue(value: unknown): unknown {
  return convert(value, { depth: 0, parents: [] });
}

interface Position {
  readonly depth: number;
  readonly parents: readonly object[];
}

function convert(value: unknown, position: Position): unknown {
  if (typeof value === 'object' && value !== null) return convertObject(value, position);
  if (typeof value === 'string') return redactText(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  return typeof value === 'symbol' || typeof value === 'function' ? `[${typeof value}]` : value;
}

function convertObject(value: object, { depth, parents }: Position): unknown {
  if (parents.includes(value)) return '[circular]';
  if (depth >= MAX_DEPTH) return '[too deep]';
  const inside = { depth: depth + 1, parents: [...parents, value] };
  try {
    return convertKnown(value, inside);
  } catch {
    // A getter or proxy of the logged object threw.
    return '[unreadable]';
  }
}

function convertKnown(value: object, inside: Position): unknown {
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? '[invalid date]' : value.toISOString();
  if (isError(value)) return convertError(value, inside);
  if (Array.isArray(value) || value instanceof Set) return convertList(value, inside);
  return convertEntries(value instanceof Map ? value : Object.entries(value), inside);
}

/** `instanceof` misses errors of another realm, which is where `vm` runs inline plugins. */
function isError(value: object): value is Error {
  return value instanceof Error || Object.prototype.toString.call(value) === '[object Error]';
}

function convertError(error: Error, position: Position): unknown {
  const { name, message, stack, cause, ...rest } = error;
  return {
    ...(convertEntries(Object.entries(rest), position) as object),
    name: error.name || name,
    message: redactText(String(message)),
    ...(typeof stack === 'string' && { stack: redactText(stack) }),
    ...(cause !== undefined && { cause: convert(cause, position) }),
  };
}

function convertList(list: Iterable<unknown>, position: Position): unknown[] {
  const items: unknown[] = [];
  for (const item of list) {
    if (items.length === MAX_ENTRIES) {
      items.push('[more]');
      break;
    }
    items.push(convert(item, position));
  }
  return items;
}

function convertEntries(entries: Iterable<readonly [unknown, unknown]>, position: Position): object {
  const result: [string, unknown][] = [];
  for (const [key, value] of entries) {
    if (result.length === MAX_ENTRIES) {
      result.push(['[more]', true]);
      break;
    }
    const name = String(key);
    const isHidden = SECRET_NAME.test(name) && (typeof value === 'string' || typeof value === 'object');
    result.push([name, isHidden ? REDACTED : convert(value, position)]);
  }
  return Object.fromEntries(result);
}
