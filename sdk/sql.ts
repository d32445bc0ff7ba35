/** Table name by which a plan for the engine calls its input. */
export const INPUT = 'input';

/** Writes a name so that no content of it can end the name (SQL-92, 5.2: delimited identifier). */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Writes a text so that no content of it can end the text (SQL-92, 5.3: character string literal). */
export function textLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** Writes a finite number; whole ones stay whole, so that comparing with 64-bit integers is exact. */
export function numberLiteral(value: number): string {
  return Number.isSafeInteger(value) ? `(${value})` : `CAST(${textLiteral(String(value))} AS DOUBLE)`;
}

/** Writes a number as 32-bit float, the type in which ONNX computes. */
export function floatLiteral(value: number): string {
  return `CAST(${textLiteral(String(value))} AS FLOAT)`;
}
