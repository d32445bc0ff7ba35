import { constants } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { MAX_CONFIG_BYTES } from './config-text.ts';
import { ModelLoadFailed } from './errors.ts';
import type { ModelFile, ModelFiles } from './model-files.ts';

/** Name of a configuration in Triton's layout. */
const CONFIG_FILE = 'config.pbtxt';
/** A folder counts as a version if it is named by a number that does not begin with 0, as in Triton. */
const VERSION = /^[1-9][0-9]{0,14}$/;
/** Files of one directory that are looked at. */
const MOST_ENTRIES = 1_000;
const MODEL_NAME = /^[^./\\\0][^/\\\0]{0,254}$/;

/**
 * The files of a model in Triton's layout: `MODEL/config.pbtxt`, `MODEL/VERSION/model.onnx`.
 *
 * @returns `undefined` when the folder has no such model.
 * @throws MODEL_LOAD_FAILED
 */
export async function folderFiles(
  folder: string,
  model: string,
  maxModelBytes: number,
): Promise<ModelFiles | undefined> {
  if (!MODEL_NAME.test(model)) return undefined;
  const directory = path.join(folder, model);
  const entries = await readdir(directory).catch(() => undefined);
  if (entries === undefined) return undefined;
  const limits = { model, directory };
  const configText = entries.includes(CONFIG_FILE)
    ? new TextDecoder().decode(await readInside(limits, CONFIG_FILE, MAX_CONFIG_BYTES))
    : undefined;
  const versions = entries
    .filter((name) => VERSION.test(name))
    .map(Number)
    .toSorted((left, right) => left - right);
  return {
    configText,
    sharedFingerprint: (await stamps(directory)).join(),
    versions,
    versionFile: (version, fileName) => {
      const file = path.posix.join(String(version), fileName);
      return versionFile(limits, file, maxModelBytes);
    },
    sharedFile: (file) => readInside(limits, file, maxModelBytes),
  };
}

/** Names of the models of a folder. */
export async function folderModels(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries
    .filter((entry) => MODEL_NAME.test(entry.name) && !entry.isFile())
    .map(({ name }) => name)
    .toSorted();
}

/**
 * Tells whether anything of a model has changed: names, sizes and times of its files, down to those of its versions.
 *
 * @returns `undefined` when the model is gone.
 */
export async function folderFingerprint(folder: string, model: string): Promise<string | undefined> {
  const directory = path.join(folder, model);
  const entries = await readdir(directory).catch(() => undefined);
  if (entries === undefined) return undefined;
  const parts = [...(await stamps(directory))];
  for (const version of entries.filter((name) => VERSION.test(name)).slice(0, MOST_ENTRIES)) {
    parts.push(version, ...(await stamps(path.join(directory, version))));
  }
  return parts.join();
}

/** Names, sizes and times of the files of a directory. */
async function stamps(directory: string): Promise<string[]> {
  const found: string[] = [];
  const names = await readdir(directory).catch(() => []);
  for (const name of names.slice(0, MOST_ENTRIES)) {
    // A file may go away while they are gone through.
    const facts = await stat(path.join(directory, name)).catch(() => undefined);
    if (facts?.isFile() === true) found.push(`${name}:${facts.ino}:${facts.size}:${facts.mtimeMs}`);
  }
  return found.toSorted((left, right) => (left < right ? -1 : 1));
}

interface Place {
  readonly model: string;
  readonly directory: string;
}

async function versionFile(place: Place, file: string, maxBytes: number): Promise<ModelFile> {
  const handle = await openInside(place, file);
  try {
    const { size, mtimeMs, ino } = await handle.stat();
    const fingerprint = `${ino}:${size}:${mtimeMs}`;
    return { fingerprint, read: () => readInside(place, file, maxBytes) };
  } finally {
    await handle.close();
  }
}

/** Reads a file that lies under a model's directory. Links are followed: who may put one there may put the file there. */
async function readInside(place: Place, file: string, maxBytes: number): Promise<Uint8Array> {
  const handle = await openInside(place, file);
  try {
    const { size } = await handle.stat();
    if (size > maxBytes) {
      throw failed(place, file, `has more than ${maxBytes} bytes; raise maxModelBytes of serving.infer`);
    }
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

async function openInside(place: Place, file: string): ReturnType<typeof open> {
  const isInside = path.posix.normalize(file) === file && !file.startsWith('..') && !path.isAbsolute(file);
  if (!isInside || file.includes('\0')) throw failed(place, file, 'lies outside the folder of the model');
  // Without O_NONBLOCK a named pipe would hold up the load until somebody writes into it.
  const flags = constants.O_RDONLY | constants.O_NONBLOCK;
  const handle = await open(path.join(place.directory, file), flags).catch((error: unknown) => {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw failed(place, file, `cannot be read (${code})`);
  });
  if ((await handle.stat()).isFile()) return handle;
  await handle.close();
  throw failed(place, file, 'is no file');
}

function failed({ model }: Place, file: string, problem: string): Error {
  return new ModelLoadFailed({ model, problem: `the file '${file}' ${problem}` });
}
