import path from 'node:path';
import { fromJson, type JsonValue } from '@bufbuild/protobuf';
import { type Manifest, ManifestSchema } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { ManifestInvalid } from './errors.ts';
import { readLimitedFile } from './limited-file.ts';
import { isTooDeep, unknownNames } from './manifest-json.ts';
import { ruleProblems } from './manifest-rules.ts';

export { validateConfig } from './plugin-config.ts';

/** Name of the manifest in a plugin's folder. */
const FILE_NAME = 'plugin.json';

/** Largest plugin.json, in bytes; a manifest is a page of text. */
const SIZE_LIMIT_BYTES = 256 * 1024;

/**
 * Reads and checks `plugin.json` of a folder. No code of the plugin runs.
 *
 * @throws MANIFEST_INVALID lists everything that is wrong.
 */
export async function readManifest(directory: string): Promise<Manifest> {
  const file = path.join(directory, FILE_NAME);
  let text: string;
  try {
    text = await readLimitedFile(file, SIZE_LIMIT_BYTES);
  } catch (cause) {
    throw new ManifestInvalid({ file, problems: readProblem(cause as NodeJS.ErrnoException) }, { cause });
  }
  return parseManifest(text, file);
}

function readProblem({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'there is no such file; name the folder of a plugin.';
  if (code === 'EACCES') return 'it may not be read; give the kernel the permission.';
  return `${message}.`;
}

/**
 * Parses and checks a manifest.
 *
 * @param where - Name of the text in error messages.
 * @throws MANIFEST_INVALID lists everything that is wrong.
 */
export function parseManifest(text: string, where: string): Manifest {
  const fail = (problems: readonly string[], cause?: unknown): never => {
    throw new ManifestInvalid({ file: where, problems: problems.join(' ') }, { cause });
  };
  if (Buffer.byteLength(text) > SIZE_LIMIT_BYTES) {
    return fail([`it is longer than ${SIZE_LIMIT_BYTES} bytes; move data out of it.`]);
  }
  let json: JsonValue;
  try {
    // Some editors put a byte order mark in front.
    json = JSON.parse(text.replace(/^\uFEFF/, '')) as JsonValue;
  } catch (cause) {
    return fail([syntaxProblem(text, cause as Error)], cause);
  }
  if (isTooDeep(json)) return fail(['it is nested too deeply; a manifest needs no more than a few levels.']);
  const unknown = unknownNames(ManifestSchema, json);
  let manifest: Manifest;
  try {
    manifest = fromJson(ManifestSchema, json, { ignoreUnknownFields: true });
  } catch (cause) {
    return fail([...unknown, decodeProblem(cause as Error)], cause);
  }
  const problems = [...unknown, ...ruleProblems(manifest)];
  return problems.length === 0 ? manifest : fail(problems);
}

/** V8 tells the offset of a syntax error, people look for a line. */
function syntaxProblem(text: string, error: Error): string {
  const offset = /at position (\d+)/.exec(error.message)?.[1];
  const before = text.slice(0, offset === undefined ? text.length : Number(offset)).split('\n');
  const place = `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
  return `it is not JSON (${error.message.split('\n')[0]?.slice(0, 200)}; ${place}).`;
}

/** The decoder speaks of messages by their full names; authors know the keys of plugin.json. */
function decodeProblem(error: Error): string {
  const text = error.message
    .replace(/^cannot decode (?:field|message|enum) lamella\.kernel\.v1\.(?:Manifest\.)?/, '')
    .replace(/ from JSON/, '');
  return `${text.slice(0, 300)}.`;
}
