import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { CallContext, Client, Host, Logger } from 'lamella/sdk';
import { RegistryService } from 'lamella/proto/lamella/model/v1/registry_service';
import { InferenceBackendService } from 'lamella/proto/lamella/serving/v1/inference_backend_service';
import type { BackendClients } from './backend-model.ts';
import type { InferConfig } from './config.ts';
import { ModelControlRefused, ModelNotRegistered } from './errors.ts';
import { folderFiles, folderModels } from './folder-files.ts';
import type { LoadRequest } from './load-request.ts';
import type { ModelFiles } from './model-files.ts';
import { registryFiles } from './registry-files.ts';

/** Where a loaded model came from; kept over restarts. */
export type LoadRecord = LoadSource & {
  /** Configuration in JSON that came with the load. */
  readonly config?: string | undefined;
  /** True for a model that went because others came, and comes back when it is asked for. */
  readonly isEvicted?: boolean | undefined;
};

type LoadSource =
  | { readonly source: 'registry'; readonly version: string }
  | { readonly source: 'folder' }
  | { readonly source: 'sent'; readonly folder: string };

const DEFAULT_VERSION = 'champion';

/** Where models are found: folders in Triton's layout, the model registry, and files that came with a load; and what runs them. */
export class ModelSources {
  /** Plugins that run models of other kinds than ONNX. */
  readonly backends: BackendClients;
  readonly #config: InferConfig;
  readonly #registry: Client<typeof RegistryService>;
  /** For files that callers send. */
  readonly #directory: string;
  readonly #log: Logger;

  constructor(host: Host<InferConfig>, log: Logger) {
    this.#config = host.config;
    this.#registry = host.call(RegistryService);
    this.backends = (extension) => host.call(InferenceBackendService, { extension });
    this.#directory = path.join(host.storage.directory, 'sent-models');
    this.#log = log;
  }

  /** Files of a model from where its record says. @throws MODEL_NOT_REGISTERED MODEL_LOAD_FAILED */
  async open(
    model: string,
    record: LoadRecord,
    { allVersions, context }: { readonly allVersions: boolean; readonly context?: CallContext | undefined },
  ): Promise<ModelFiles> {
    const { maxModelBytes: maxBytes, modelRepositories } = this.#config;
    if (record.source === 'registry') {
      const version = allVersions ? undefined : record.version;
      return registryFiles(this.#registry, { model, version, maxBytes, context });
    }
    const folders =
      record.source === 'sent' ? [path.join(this.#directory, record.folder)] : modelRepositories;
    for (const folder of folders) {
      const files = await folderFiles(folder, model, maxBytes);
      if (files !== undefined) return files;
    }
    throw new ModelNotRegistered({ model: model.slice(0, 63), version: 'folder of that name' });
  }

  /**
   * Decides where a model comes from: files that came with the load, a folder, or the registry.
   *
   * @throws MODEL_CONTROL_REFUSED when files came that are not allowed
   */
  async recordFor(model: string, { version, config, files }: LoadRequest): Promise<LoadRecord> {
    if (files !== undefined && !this.#config.allowSentFiles) {
      const advice =
        'files of loads are refused; set allowSentFiles of serving.infer, or put them into a folder';
      throw new ModelControlRefused({ model, advice });
    }
    if (files !== undefined) return { source: 'sent', folder: await this.#keep(model, files), config };
    const folder = version === undefined ? await this.folderOf(model) : undefined;
    if (folder !== undefined) return { source: 'folder', config };
    return { source: 'registry', version: version ?? DEFAULT_VERSION, config };
  }

  /** The folder that holds a model; `undefined` when none does. */
  async folderOf(model: string): Promise<string | undefined> {
    for (const folder of this.#config.modelRepositories) {
      if ((await folderFiles(folder, model, this.#config.maxModelBytes)) !== undefined) return folder;
    }
    return undefined;
  }

  /** Keeps files that a caller sent, in Triton's layout; nothing is left of them when that fails. */
  async #keep(model: string, files: ReadonlyMap<string, Uint8Array>): Promise<string> {
    const folder = randomUUID();
    const unfinished = path.join(this.#directory, `.${folder}`);
    try {
      for (const [file, bytes] of files) {
        const target = path.join(unfinished, model, file);
        await mkdir(path.dirname(target), { recursive: true });
        await writeFile(target, bytes, { flush: true });
      }
      await rename(unfinished, path.join(this.#directory, folder));
      return folder;
    } catch (error) {
      await rm(unfinished, { recursive: true, force: true });
      throw error;
    }
  }

  /** Removes the files of a record that is over. */
  async discard(record: LoadRecord): Promise<void> {
    if (record.source !== 'sent') return;
    await rm(path.join(this.#directory, record.folder), { recursive: true, force: true });
  }

  /** Removes kept files that no record names. */
  async forget(isNeeded: (folder: string) => boolean): Promise<void> {
    const directory = this.#directory;
    for (const folder of await readdir(directory).catch(() => [])) {
      if (!isNeeded(folder)) await rm(path.join(directory, folder), { recursive: true, force: true });
    }
  }

  /** Names of the models of the folders. */
  async inFolders(): Promise<ReadonlySet<string>> {
    const names = new Set<string>();
    for (const folder of this.#config.modelRepositories) {
      const found = await folderModels(folder).catch((error: unknown) => {
        this.#log.error('A model repository cannot be read', { folder, error });
        return [];
      });
      for (const name of found) names.add(name);
    }
    return names;
  }

  /** Names of all models, loaded or not; without those of the registry while it does not answer. */
  async names(context: CallContext | undefined): Promise<readonly string[]> {
    const names = new Set(await this.inFolders());
    let pageToken = '';
    try {
      do {
        const page = await this.#registry.listModels(
          { pageSize: 1_000, pageToken },
          context === undefined ? {} : { context },
        );
        for (const { name } of page.models) names.add(name.replace(/^models\//, ''));
        pageToken = page.nextPageToken;
      } while (pageToken !== '');
    } catch (error) {
      const message =
        'The model registry does not answer; the index lists its models only when they are loaded';
      this.#log.warn(message, { error });
    }
    return [...names];
  }
}
