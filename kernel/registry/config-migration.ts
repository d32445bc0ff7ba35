import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import { applyPatch, type Operation, Pointer } from 'rfc6902';
import semver from 'semver';
import type { ConfigMigration, Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';

/** Migrations of a manifest, and operations of one, at most. */
const MAX_MIGRATIONS = 100;

/** What the operations of RFC 6902 need beside `path`. */
const NEEDS: Readonly<Record<string, readonly string[]>> = {
  add: ['value'],
  remove: [],
  replace: ['value'],
  move: ['from'],
  copy: ['from'],
  test: ['value'],
};

/** What is wrong with the migrations of a manifest. */
export function migrationProblems({ configMigrations }: Manifest): string[] {
  if (configMigrations.length > MAX_MIGRATIONS) return [`configMigrations: ${MAX_MIGRATIONS} at most.`];
  return configMigrations.flatMap(({ from, patch }, index) => {
    const where = `configMigrations[${index}]`;
    const problems = patch.flatMap((operation, step) =>
      operationProblems(operation, `${where}.patch[${step}]`),
    );
    if (semver.validRange(from) === null || from === '') {
      problems.push(`${where}.from '${from.slice(0, 100)}' must be a range of versions, like '<2.0.0'.`);
    }
    if (patch.length > MAX_MIGRATIONS) problems.push(`${where}.patch: ${MAX_MIGRATIONS} operations at most.`);
    return problems;
  });
}

function operationProblems(operation: JsonObject, where: string): string[] {
  const { op, path, from } = operation;
  const needed = typeof op === 'string' && Object.hasOwn(NEEDS, op) ? NEEDS[op] : undefined;
  if (needed === undefined) return [`${where}.op must be one of ${Object.keys(NEEDS).join(', ')}.`];
  const missing = needed.filter((key) => !(key in operation)).map((key) => `${where} needs '${key}'.`);
  const pointers = needed.includes('from') && from !== undefined ? [path, from] : [path];
  const wrong = pointers.filter((pointer) => !isPointer(pointer));
  return [
    ...missing,
    ...wrong.map(() => `${where}: paths are JSON Pointers to an option, like '/retry/count'.`),
  ];
}

function isPointer(pointer: JsonValue | undefined): pointer is string {
  return (
    typeof pointer === 'string' &&
    /^(?:\/(?!(?:__proto__|constructor|prototype)(?:\/|$))[^/]+)+$/.test(pointer)
  );
}

/**
 * Turns the configuration of an older version into one of this version. The value given is not changed.
 *
 * @remarks JSON Patch (RFC 6902) with two differences, since a configuration holds only what somebody set: an operation
 * on an option that is not set is left out, and missing objects on the way to `path` are made. A `test` that fails ends
 * its migration, the next one goes on.
 * @throws Error that names the operation that cannot be applied.
 */
export function migrateConfig(manifest: Manifest, value: JsonObject, version: string): JsonObject {
  const config = structuredClone(value);
  for (const migration of manifest.configMigrations) {
    if (semver.satisfies(version, migration.from, { includePrerelease: true })) apply(config, migration);
  }
  return config;
}

function apply(config: JsonObject, { patch }: ConfigMigration): void {
  for (const step of patch) {
    // The manifest was checked to have nothing else.
    const operation = structuredClone(step) as unknown as Operation;
    const source = sourceOf(operation);
    if (source !== undefined && Pointer.fromJSON(source).get(config) === undefined) {
      if (operation.op === 'test') return;
      continue;
    }
    if (operation.op !== 'remove' && operation.op !== 'test') makeParents(config, operation.path);
    const [failure] = applyPatch(config, [operation]);
    if (failure === null || failure === undefined) continue;
    if (failure.name === 'TestError') return;
    throw new Error(`${operation.op} ${operation.path}: ${failure.message}`);
  }
}

/** The option that has to be there for an operation to make sense. */
function sourceOf(operation: Operation): string | undefined {
  if (operation.op === 'add') return undefined;
  return operation.op === 'move' || operation.op === 'copy' ? operation.from : operation.path;
}

function makeParents(config: JsonObject, path: string): void {
  for (let end = path.indexOf('/', 1); end !== -1; end = path.indexOf('/', end + 1)) {
    const parent = Pointer.fromJSON(path.slice(0, end));
    const value: unknown = parent.get(config);
    if (value === undefined) parent.set(config, {});
    else if (typeof value !== 'object' || value === null) {
      throw new Error(`'${path}' cannot be set, since '${parent.toString()}' is no object`);
    }
  }
}
