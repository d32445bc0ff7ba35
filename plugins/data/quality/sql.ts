/** Table name by which a query calls its version. */
export const INPUT = 'input';

/** Writes a name so that no content of it can end the name. */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Writes a text so that no content of it can end the text. */
export function textLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** Writes a finite number; whole ones stay whole, so that comparing with 64-bit integers is exact. */
export function numberLiteral(value: number): string {
  return Number.isSafeInteger(value) ? `(${value})` : `CAST(${textLiteral(String(value))} AS DOUBLE)`;
}
