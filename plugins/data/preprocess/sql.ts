import { identifier, INPUT } from 'lamella/sdk';
import { RowFilterInvalid } from './errors.ts';

/** Puts selections one behind the other: each reads what the one before gives. */
export function chain(selections: readonly string[], from: string = identifier(INPUT)): string {
  const tables = selections.map((selection, index) => {
    const source = index === 0 ? from : `step${index - 1}`;
    return `step${index} AS (SELECT ${selection} FROM ${source})`;
  });
  return tables.length === 0
    ? `SELECT * FROM ${from}`
    : `WITH ${tables.join(', ')} SELECT * FROM step${tables.length - 1}`;
}

const TOKEN = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--|\/\*|[();$]|[^'"();$/-]+|./gsu;

/**
 * Checks that a condition stays inside its parentheses.
 *
 * @remarks The engine reaches no files and no network, so this keeps mistakes out rather than attackers.
 * @throws ROW_FILTER_INVALID
 */
export function checkCondition(condition: string): string {
  let depth = 0;
  for (const [token] of condition.matchAll(TOKEN)) {
    if (token === '(') depth += 1;
    if (token === ')') depth -= 1;
    if (depth < 0 || FORBIDDEN.has(token)) {
      throw new RowFilterInvalid({ detail: `'${token}' does not belong there` });
    }
  }
  if (depth !== 0) throw new RowFilterInvalid({ detail: 'a parenthesis is not closed' });
  return condition;
}

const FORBIDDEN: ReadonlySet<string> = new Set(['--', '/*', ';', '$', "'", '"']);
