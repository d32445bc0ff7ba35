import { Readable } from 'node:stream';
import { parse } from 'csv-parse';
import type { Schema } from 'lamella/proto/lamella/data/v1/dataset';
import { SourceUnreadable } from './errors.ts';
import type { Rejection, Source, SourceBatch } from './source.ts';
import { columnsOf, type TextRow, toBatch } from './text-columns.ts';
import { readText } from './text-file.ts';

/** How a CSV file is read. */
export interface CsvOptions {
  readonly path: string;
  /** Separator; comma when empty. */
  readonly delimiter: string;
  readonly noHeader: boolean;
  readonly schema: Schema | undefined;
  /** Texts that mean "missing", beside the empty one. */
  readonly nullValues: readonly string[];
  readonly batchRows: number;
  readonly maxLineBytes: number;
}

/** Rows of a CSV file (RFC 4180). Rows with the wrong number of fields are reported, not repaired. */
export function openCsv(options: CsvOptions): Source {
  return {
    totalRows: 0,
    async *batches(signal): AsyncGenerator<SourceBatch> {
      const missing = new Set(['', ...options.nullValues]);
      let fields: ReturnType<typeof columnsOf> | undefined;
      for await (const { rows, first, broken } of groups(options, signal)) {
        const texts = rows.map((row): TextRow => {
          return new Map([...row].map(([name, value]) => [name, missing.has(value) ? undefined : value]));
        });
        if (texts.length > 0) fields ??= columnsOf(options.schema, texts);
        const batch = toBatch(fields ?? [], texts, first);
        yield { ...batch, rejections: [...broken, ...batch.rejections] };
      }
    },
  };
}

interface Group {
  readonly rows: Map<string, string>[];
  readonly first: number;
  readonly broken: Rejection[];
}

async function* groups(options: CsvOptions, signal: AbortSignal): AsyncGenerator<Group> {
  let header: string[] | undefined;
  let row = 0;
  let group: Group = { rows: [], first: 0, broken: [] };
  for await (const record of records(options, signal)) {
    if (header === undefined) {
      header = options.noHeader ? names(options.schema, record.length) : record;
      if (!options.noHeader) continue;
    }
    take(group, { header, record, row });
    row += 1;
    // Broken rows count too, so that a file of nothing else does not pile up.
    if (group.rows.length + group.broken.length < options.batchRows) continue;
    yield group;
    group = { rows: [], first: row, broken: [] };
  }
  if (group.rows.length > 0 || group.broken.length > 0) yield group;
}

/** Puts a record with its group, as a row or as a broken one. */
function take(
  group: Group,
  {
    header,
    record,
    row,
  }: { readonly header: readonly string[]; readonly record: readonly string[]; readonly row: number },
): void {
  if (record.length === header.length) group.rows.push(zip(header, record));
  else
    group.broken.push({
      row,
      column: '',
      reason: `it has ${record.length} fields instead of ${header.length}`,
    });
}

/** Records of the file as lists of fields. @throws SOURCE_UNREADABLE */
async function* records(options: CsvOptions, signal: AbortSignal): AsyncGenerator<string[]> {
  const parser = parse({
    delimiter: options.delimiter === '' ? ',' : options.delimiter,
    relax_column_count: true,
    skip_empty_lines: true,
    bom: true,
    max_record_size: options.maxLineBytes,
  });
  const text = Readable.from(readText(options.path, signal));
  text.on('error', (error) => parser.destroy(error));
  try {
    yield* text.pipe(parser) as AsyncIterable<string[]>;
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    if (cause instanceof Error && 'reason' in cause) throw cause;
    throw new SourceUnreadable({ source: options.path, problem: (cause as Error).message }, { cause });
  }
}

function zip(header: readonly string[], record: readonly string[]): Map<string, string> {
  return new Map(header.map((name, index) => [name, record[index] ?? '']));
}

function names(schema: Schema | undefined, count: number): string[] {
  const given = schema?.fields.map(({ name }) => name) ?? [];
  return given.length > 0 ? given : Array.from({ length: count }, (_, index) => `column${index + 1}`);
}
