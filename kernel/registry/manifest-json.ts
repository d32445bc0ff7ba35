import type { DescEnum, DescField, DescMessage } from '@bufbuild/protobuf';
import { nearestName } from './nearest-name.ts';

/** Deepest nesting of a plugin.json; a configuration schema is the only deep thing in it. */
const DEPTH_LIMIT = 64;

/** Problems told at most, so that the message of a wrong file stays readable. */
const PROBLEM_LIMIT = 20;

/** Tells whether a JSON value is nested so deeply that walking it by recursion could fail. */
export function isTooDeep(value: unknown): boolean {
  const pending: { value: unknown; depth: number }[] = [{ value, depth: 0 }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (typeof next.value !== 'object' || next.value === null) continue;
    const depth = next.depth + 1;
    if (depth > DEPTH_LIMIT) return true;
    for (const child of Object.values(next.value)) pending.push({ value: child, depth });
  }
  return false;
}

/**
 * Finds keys that the message does not have and enum values that do not exist, in the whole value and with the name
 * that was probably meant. The decoder would tell one of them, without a suggestion.
 */
export function unknownNames(message: DescMessage, value: unknown): string[] {
  const problems: string[] = [];
  walkMessage(message, value, { path: '', problems });
  const more = problems.length - PROBLEM_LIMIT;
  return more > 0 ? [...problems.slice(0, PROBLEM_LIMIT), `and ${more} more of that kind.`] : problems;
}

interface Place {
  readonly path: string;
  readonly problems: string[];
}

function walkMessage(message: DescMessage, value: unknown, place: Place): void {
  // Well-known types have a JSON form of their own; wrong types are told by the decoder.
  if (message.typeName.startsWith('google.protobuf.')) return;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
  const fields = new Map(
    message.fields.flatMap(
      (field) =>
        [
          [field.jsonName, field],
          [field.name, field],
        ] as const,
    ),
  );
  for (const [key, child] of Object.entries(value)) {
    const field = fields.get(key);
    const path = place.path === '' ? key : `${place.path}.${key}`;
    if (field !== undefined) {
      walkField(field, child, { path, problems: place.problems });
      continue;
    }
    const names = message.fields.map(({ jsonName }) => jsonName);
    place.problems.push(`there is no '${shown(path)}'; ${suggestion(key, names)}.`);
  }
}

function walkField(field: DescField, value: unknown, place: Place): void {
  if (field.fieldKind === 'list' && Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      walkSingle(field, item, { path: `${place.path}[${index}]`, problems: place.problems });
    }
  } else {
    walkSingle(field, value, place);
  }
}

function walkSingle(field: DescField, value: unknown, place: Place): void {
  if (field.enum !== undefined && typeof value === 'string') checkEnum(field.enum, value, place);
  else if (field.message !== undefined) walkMessage(field.message, value, place);
}

function checkEnum(type: DescEnum, value: string, { path, problems }: Place): void {
  const names = type.values.filter(({ number }) => number !== 0).map(({ name }) => name);
  if (type.values.some(({ name }) => name === value)) return;
  problems.push(`${path} cannot be '${shown(value)}'; ${suggestion(value, names)}.`);
}

function suggestion(name: string, known: readonly string[]): string {
  const nearest = nearestName(name, known);
  return nearest === undefined ? `known are ${known.join(', ')}` : `write '${nearest}'`;
}

function shown(text: string): string {
  return text.length <= 100 ? text : `${text.slice(0, 100)}…`;
}
