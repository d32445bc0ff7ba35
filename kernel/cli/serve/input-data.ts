import { readFile } from 'node:fs/promises';
import type { RowValues, TuneData } from '../../../sdk/ort/index.ts';

/**
 * Reads what `--input-data` names: `random`, `zero`, or a file in Perf Analyzer's form, of which the first entry is taken:
 * `{"data": [{"ids": [1, 2, 3], "mask": {"content": [1, 1, 1], "shape": [3]}}]}`.
 *
 * @throws RangeError that says what is wrong with the file
 */
export async function readInputData(choice: string): Promise<TuneData> {
  if (choice === 'random' || choice === 'zero') return choice;
  let value: unknown;
  try {
    value = JSON.parse(await readFile(choice, 'utf8'));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new RangeError(`'${choice}' cannot be read as JSON: ${why}`, { cause: error });
  }
  const entries =
    isRecord(value) && Array.isArray(value['data']) ? (value['data'] as readonly unknown[]) : [];
  const [first] = entries.flat();
  if (!isRecord(first))
    throw new RangeError(`'${choice}' must hold {"data": [{"INPUT": [values of one row]}]}`);
  return Object.fromEntries(
    Object.entries(first).map(([name, given]) => {
      const content = isRecord(given) ? given['content'] : given;
      const values = Array.isArray(content) ? (content.flat(Infinity) as readonly unknown[]) : [content];
      if (values.every(isValue)) return [name, values satisfies RowValues];
      throw new RangeError(`'${choice}' has values for '${name}' that are no numbers, texts, true or false`);
    }),
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isValue(value: unknown): value is number | string | boolean {
  return ['number', 'string', 'boolean'].includes(typeof value);
}
