import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { fromJson, type JsonObject, type JsonValue } from '@bufbuild/protobuf';
import { Ajv } from 'ajv';
import semver from 'semver';
import {
  IsolationLevel,
  type Manifest,
  ManifestSchema,
} from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { Code, defineError, type ErrorType } from '../../sdk/index.ts';

/** A plugin.json cannot be used. */
export const ManifestInvalid: ErrorType<'file' | 'problems'> = defineError({
  reason: 'MANIFEST_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ file, problems }) => `${file} is not a valid plugin manifest: ${problems}`,
});

/** A plugin's configuration does not fit its schema. */
export const PluginConfigInvalid: ErrorType<'plugin' | 'problems'> = defineError({
  reason: 'PLUGIN_CONFIG_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ plugin, problems }) =>
    `The configuration of plugin '${plugin}' does not fit its schema: ${problems}; correct it in config.json under plugins.`,
});

/** Largest plugin.json, in bytes; a manifest is a page of text. */
const SIZE_LIMIT_BYTES = 256 * 1024;

const PLUGIN_ID = /^[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+$/;
const SERVICE_NAME = /^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$/;
const HTTP_PREFIX = /^\/(?:[\w.-]+(?:\/[\w.-]+)*)?$/;

/**
 * Reads and checks `plugin.json` of a folder. No code of the plugin runs.
 *
 * @throws MANIFEST_INVALID lists everything that is wrong.
 */
export async function readManifest(directory: string): Promise<Manifest> {
  const file = path.join(directory, 'plugin.json');
  try {
    const { size } = await stat(file);
    if (size > SIZE_LIMIT_BYTES) {
      throw new Error(`it has ${size} bytes, more than ${SIZE_LIMIT_BYTES}; move data out of it`);
    }
    return parseManifest(await readFile(file, 'utf8'), file);
  } catch (cause) {
    if (cause instanceof ManifestInvalid) throw cause;
    const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    const problems = isMissing ? 'there is no such file; name the folder of a plugin.' : `${(cause as Error).message}.`;
    throw new ManifestInvalid({ file, problems }, { cause });
  }
}

/**
 * Parses and checks a manifest.
 *
 * @param where - Name of the text in error messages.
 * @throws MANIFEST_INVALID
 */
export function parseManifest(text: string, where: string): Manifest {
  let manifest: Manifest;
  try {
    manifest = fromJson(ManifestSchema, JSON.parse(text) as JsonValue, { ignoreUnknownFields: false });
  } catch (cause) {
    throw new ManifestInvalid({ file: where, problems: `${(cause as Error).message}.` }, { cause });
  }
  const problems = CHECKS.flatMap((check) => check(manifest));
  if (problems.length > 0) throw new ManifestInvalid({ file: where, problems: problems.join(' ') });
  return manifest;
}

type Check = (manifest: Manifest) => string[];

function rule(isBroken: boolean, problem: string): string[] {
  return isBroken ? [problem] : [];
}

const CHECKS: readonly Check[] = [
  ({ id }) =>
    rule(!PLUGIN_ID.test(id), `id '${id}' must be <layer>.<name> in lower case, like 'data.store'.`),
  ({ version }) => rule(semver.valid(version) === null, `version '${version}' must be a semantic version, like '0.1.0'.`),
  ({ kernel }) => rule(kernel !== '' && semver.validRange(kernel) === null, `kernel '${kernel}' must be a range of versions, like '^0.1.0'.`),
  checkEntry,
  checkIsolation,
  ({ provides, requires }) =>
    [...provides, ...requires].flatMap(({ service }) =>
      rule(!SERVICE_NAME.test(service), `service '${service}' must be a full proto name, like 'lamella.data.v1.StoreService'.`),
    ),
  ({ capabilities }) => {
    const prefix = capabilities?.httpPrefix ?? '';
    return rule(prefix !== '' && !HTTP_PREFIX.test(prefix), `httpPrefix '${prefix}' must start with '/' and not end with it.`);
  },
  ({ protos }) => protos.flatMap((file) => rule(leaves(file), `protos: '${file}' is outside the plugin's folder.`)),
  checkConfigSchema,
];

function checkEntry({ entry }: Manifest): string[] {
  const module = entry?.module ?? '';
  const ways = [module !== '', (entry?.command.length ?? 0) > 0, (entry?.addresses.length ?? 0) > 0];
  return [
    ...rule(ways.filter(Boolean).length !== 1, 'entry must have exactly one of module, command and addresses.'),
    ...rule(module !== '' && leaves(module), `entry.module '${module}' is outside the plugin's folder.`),
  ];
}

function checkIsolation({ isolation, entry }: Manifest): string[] {
  const preferred = isolation?.preferred ?? IsolationLevel.ISOLATION_LEVEL_UNSPECIFIED;
  const allowed = isolation?.allowed ?? [];
  const isKnown = preferred !== IsolationLevel.ISOLATION_LEVEL_UNSPECIFIED;
  return [
    ...rule(!isKnown, 'isolation.preferred must be INLINE, WORKER, PROCESS or REMOTE.'),
    ...rule(isKnown && allowed.length > 0 && !allowed.includes(preferred), 'isolation.preferred must be one of isolation.allowed.'),
    ...rule(
      (entry?.command.length ?? 0) > 0 && preferred !== IsolationLevel.PROCESS,
      'a plugin that starts by a command runs as a PROCESS; set isolation.preferred so.',
    ),
  ];
}

function checkConfigSchema({ config }: Manifest): string[] {
  if (config === undefined) return [];
  try {
    newAjv().compile(config);
    return [];
  } catch (error) {
    return [`config is not a JSON Schema (${(error as Error).message}).`];
  }
}

function leaves(file: string): boolean {
  const normal = path.posix.normalize(file.replaceAll('\\', '/'));
  return normal.startsWith('../') || normal === '..' || path.isAbsolute(normal) || /^[A-Za-z]:/.test(normal);
}

/**
 * Fills in defaults and checks a plugin's configuration against the schema in its manifest.
 *
 * @throws PLUGIN_CONFIG_INVALID names every option that is wrong.
 */
export function validateConfig(manifest: Manifest, value: unknown): JsonObject {
  const config = structuredClone(value ?? {}) as JsonObject;
  const schema = manifest.config ?? { type: 'object', additionalProperties: false };
  const validate = newAjv().compile(schema);
  if (validate(config)) return config;
  const problems = (validate.errors ?? []).map((error) => {
    const extra: unknown = error.params['additionalProperty'];
    const name = typeof extra === 'string' ? ` '${extra}'` : '';
    return `${error.instancePath || '/'} ${error.message ?? 'is wrong'}${name}`;
  });
  throw new PluginConfigInvalid({ plugin: manifest.id, problems: problems.join(', ') });
}

function newAjv(): Ajv {
  const ajv = new Ajv({ useDefaults: true, allErrors: true, strict: false });
  ajv.addFormat('lamella-secret', true);
  return ajv;
}
