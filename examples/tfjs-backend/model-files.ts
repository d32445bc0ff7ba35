import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { ModelUnreadable } from './errors.ts';

/** Names of models and versions that are parts of a path. */
const NAME = /^[\w.-]+$/;

/** Which model is read. */
export interface ModelPlace {
  /** Folder of all models. */
  readonly models: string;
  readonly name: string;
  readonly version: string;
}

interface ModelJson {
  readonly modelTopology: object;
  readonly weightsManifest: readonly {
    readonly paths: readonly string[];
    readonly weights: readonly object[];
  }[];
}

/** Reads `model.json` and the files of its weights, which must lie beside it. @throws MODEL_UNREADABLE */
export async function readModelFiles({ models, name, version }: ModelPlace): Promise<object> {
  const fail = (problem: string, cause?: unknown): Error =>
    new ModelUnreadable({ model: name, problem }, { cause });
  if (![name, version].every((part) => NAME.test(part) && !part.startsWith('.')))
    throw fail('its name cannot be that of a folder');
  const folder = path.join(models, name, version);
  try {
    const json = JSON.parse(await readFile(path.join(folder, 'model.json'), 'utf8')) as ModelJson;
    const files = json.weightsManifest.flatMap(({ paths }) => paths);
    const outside = files.find((file) => path.basename(file) !== file);
    if (outside !== undefined) throw new Error(`'${outside}' does not lie beside model.json`);
    const parts = await Promise.all(files.map((file) => readFile(path.join(folder, file))));
    const weights = Buffer.concat(parts);
    return {
      modelTopology: json.modelTopology,
      weightSpecs: json.weightsManifest.flatMap((group) => group.weights),
      weightData: new Uint8Array(weights).buffer,
    };
  } catch (error) {
    throw fail(error instanceof Error ? error.message : String(error), error);
  }
}
