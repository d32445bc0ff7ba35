import type { JsonObject, JsonValue } from '@bufbuild/protobuf';

/** What an API server writes by itself. */
const SERVER_FIELDS: ReadonlySet<string> = new Set([
  'status',
  'metadata.managedFields',
  'metadata.resourceVersion',
  'metadata.generation',
  'metadata.creationTimestamp',
  'metadata.uid',
]);
const MOST_FIELDS = 200;
const MOST_CHARACTERS = 120;

/** Fields in which an object differs, `path: before -> after`, without those that are the server's own. */
export function objectDiff(before: JsonObject, after: JsonObject): string[] {
  const lines = [...differences(before, after, '')];
  return lines.length <= MOST_FIELDS
    ? lines
    : [...lines.slice(0, MOST_FIELDS), `and ${lines.length - MOST_FIELDS} more fields`];
}

function* differences(
  before: JsonValue | undefined,
  after: JsonValue | undefined,
  path: string,
): Generator<string> {
  if (SERVER_FIELDS.has(path) || JSON.stringify(before) === JSON.stringify(after)) return;
  if (!isTree(before) || !isTree(after)) {
    yield `${path}: ${shown(before)} -> ${shown(after)}`;
    return;
  }
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  for (const key of [...keys].toSorted()) {
    yield* differences(before[key], after[key], path === '' ? key : `${path}.${key}`);
  }
}

/** A list is a tree whose keys are numbers. */
function isTree(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null;
}

function shown(value: JsonValue | undefined): string {
  const text = value === undefined ? 'none' : JSON.stringify(value);
  return text.length <= MOST_CHARACTERS ? text : `${text.slice(0, MOST_CHARACTERS)}...`;
}
