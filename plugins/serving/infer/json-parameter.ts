/**
 * Reads a parameter of a model's configuration that holds a JSON object.
 *
 * @param fail - Makes the error that says what is wrong.
 */
export function fieldsOf(text: string, fail: (problem: string) => Error): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw fail('is no JSON');
  }
  if (isRecord(value)) return value;
  throw fail('must be a JSON object');
}

/** True for a JSON object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
