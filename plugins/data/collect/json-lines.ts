import type { Schema } from 'lamella/proto/lamella/data/v1/dataset';
import { SourceUnreadable } from './errors.ts';
import type { Rejection, Source, SourceBatch } from './source.ts';
import { columnsOf, type TextRow, toBatch } from './text-columns.ts';
import { readText } from './text-file.ts';

/** How a JSON lines file is read. */
export interface JsonLinesOptions {
  readonly path: string;
  readonly schema: Schema | undefined;
  readonly batchRows: number;
  readonly maxLineBytes: number;
}

/** Rows of a file with one flat JSON object a line (https://jsonlines.org). */
export function openJsonLines(options: JsonLinesOptions): Source {
  return {
    totalRows: 0,
    async *batches(signal): AsyncGenerator<SourceBatch> {
      let fields: ReturnType<typeof columnsOf> | undefined;
      let rows: TextRow[] = [];
      let broken: Rejection[] = [];
      let row = 0;
      const flush = (): SourceBatch => {
        if (rows.length > 0) fields ??= columnsOf(options.schema, rows);
        const batch = toBatch(fields ?? [], rows, row - rows.length);
        return { ...batch, rejections: [...broken, ...batch.rejections] };
      };
      for await (const line of lines(options, signal)) {
        const parsed = parseLine(line);
        if (parsed instanceof Error) broken.push({ row, column: '', reason: parsed.message });
        else rows.push(parsed);
        row += 1;
        if (rows.length + broken.length < options.batchRows) continue;
        yield flush();
        rows = [];
        broken = [];
      }
      if (rows.length > 0 || broken.length > 0) yield flush();
    },
  };
}

async function* lines({ path, maxLineBytes }: JsonLinesOptions, signal: AbortSignal): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of readText(path, signal)) {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop() ?? '';
    if (rest.length > maxLineBytes) {
      throw new SourceUnreadable({ source: path, problem: `a line is longer than ${maxLineBytes} bytes` });
    }
    for (const part of parts) if (part.trim() !== '') yield part;
  }
  if (rest.trim() !== '') yield rest;
}

function parseLine(line: string): TextRow | Error {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return new Error('it is not a JSON object');
    return new Map(Object.entries(value).map(([name, item]) => [name, flat(item)]));
  } catch (error) {
    return new Error(`it is not JSON (${(error as Error).message})`);
  }
}

/** Nested values stay readable as text. */
function flat(item: unknown): string | number | boolean | undefined {
  if (item === null || item === undefined) return undefined;
  if (typeof item === 'number' || typeof item === 'boolean' || typeof item === 'string') return item;
  return JSON.stringify(item);
}
