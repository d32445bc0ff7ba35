import { createHash } from 'node:crypto';
import { toBinary } from '@bufbuild/protobuf';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { Model, ModelVersion } from 'lamella/proto/lamella/model/v1/model';
import {
  type CreateVersionHeader,
  CreateVersionHeaderSchema,
  type CreateVersionRequest,
  type SetAliasRequest,
} from 'lamella/proto/lamella/model/v1/registry_service';
import { type Clock, type Page, pageOf, type PageRequest } from 'lamella/sdk';
import type { Catalogue } from './catalogue.ts';
import { type Change, ChangeFeed } from './change-feed.ts';
import {
  AliasMoved,
  ArtifactDamaged,
  DigestMismatch,
  HeaderTooLarge,
  NameInvalid,
  VersionInUse,
} from './errors.ts';
import {
  type AliasReference,
  parseAliasName,
  parseModelId,
  parseModelName,
  parseVersionName,
  parseVersionReference,
  versionName,
} from './names.ts';
import type { ObjectStore, StagedObject } from './object-store.ts';
import { readUpload } from './upload.ts';

const MAX_HEADER_BYTES = 1_048_576;
const LAST_TIME_MS = 9_999_999_999_999;
const LAST_NUMBER = 999_999_999_999_999;

/** What a registry is made of. */
export interface RegistryParts {
  readonly catalogue: Catalogue;
  readonly objects: ObjectStore;
  readonly clock: Clock;
  /** Largest file in bytes. */
  readonly maxArtifactBytes: number;
}

/** Registers, finds, names and deletes model versions. */
export class Registry {
  readonly #parts: RegistryParts;
  readonly #changes = new ChangeFeed();
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: RegistryParts) {
    this.#parts = parts;
  }

  /** Registers a version from a header and the chunks of its file. */
  async create(requests: AsyncIterable<CreateVersionRequest>): Promise<ModelVersion> {
    const { catalogue, objects, maxArtifactBytes } = this.#parts;
    const upload = await readUpload(requests);
    const model = this.#checkHeader(upload.header);
    const existing = catalogue.byRequest(model, upload.header.requestId);
    if (existing !== undefined) return existing;
    const staged = await objects.stage(upload.chunks, maxArtifactBytes);
    try {
      return await this.#exclusive(() => this.#commit(upload.header, staged));
    } finally {
      await objects.discard(staged);
    }
  }

  /** Finds one version by number, alias or `latest`. */
  version(name: string): ModelVersion {
    return this.#parts.catalogue.resolve(parseVersionReference(name));
  }

  /** Finds one model. */
  model(name: string): Model {
    return this.#parts.catalogue.model(parseModelName(name));
  }

  /** Lists models by name. */
  listModels(request: PageRequest): Page<Model> {
    return pageOf(this.#parts.catalogue.models(), (model) => model.name, request);
  }

  /** Lists versions, newest first; `models/-` means those of all models. */
  listVersions(parent: string, request: PageRequest): Page<ModelVersion> {
    const model = parent === 'models/-' ? undefined : parseModelName(parent);
    return pageOf(this.#parts.catalogue.versions(model), newestFirst, request);
  }

  /** Points an alias to a version. */
  async setAlias({ name, version, expectedVersion }: SetAliasRequest): Promise<Model> {
    const reference = parseAliasName(name);
    return this.#exclusive(async () => {
      const { catalogue } = this.#parts;
      const target = catalogue.resolve(parseVersionReference(version));
      if (target.model !== reference.model) {
        throw new NameInvalid({ name: version, form: `a version of models/${reference.model}` });
      }
      if (expectedVersion !== '') this.#checkExpected(reference, name, expectedVersion);
      await catalogue.setAlias(reference.model, reference.alias, Number(target.version));
      return this.#announce(reference.model, { alias: reference.alias });
    });
  }

  /** Removes an alias. */
  async deleteAlias(name: string): Promise<Model> {
    const { model, alias } = parseAliasName(name);
    return this.#exclusive(async () => {
      const before = this.#parts.catalogue.model(model);
      if (!Object.hasOwn(before.aliases, alias)) return before;
      await this.#parts.catalogue.setAlias(model, alias, undefined);
      return this.#announce(model, { alias });
    });
  }

  /** Deletes a version, and its file when no other version has the same. */
  async deleteVersion(name: string, force: boolean): Promise<void> {
    const { model, version } = parseVersionName(name);
    await this.#exclusive(async () => {
      const { catalogue, objects } = this.#parts;
      const found = catalogue.resolve({ model, target: { kind: 'number', version } });
      if (found.aliases.length > 0 && !force)
        throw new VersionInUse({ name, aliases: found.aliases.join(', ') });
      const before = catalogue.model(model);
      await catalogue.remove(model, version);
      if (!catalogue.digests().has(found.digest)) await objects.remove(found.digest);
      const gone = { ...before, latestVersion: 0n, versionCount: 0n, aliases: {} };
      const after = before.versionCount > 1n ? catalogue.model(model) : gone;
      this.#changes.publish({ model: after, version: name, deleted: true, alias: '' });
    });
  }

  /** Reads the file of a version and checks it against its digest on the way. @throws ARTIFACT_DAMAGED */
  async *read(version: ModelVersion): AsyncGenerator<Uint8Array> {
    const hash = createHash('sha256');
    const damaged = (cause?: unknown): Error =>
      new ArtifactDamaged({ name: version.name, digest: version.digest }, { cause });
    try {
      for await (const chunk of this.#parts.objects.read(version.digest)) {
        hash.update(chunk);
        yield chunk;
      }
    } catch (error) {
      throw (error as NodeJS.ErrnoException).code === 'ENOENT' ? damaged(error) : error;
    }
    if (hash.digest('hex') !== version.digest) throw damaged();
  }

  /** Changes of the named models, or of all, until the signal ends it. */
  async *watch(names: readonly string[], signal: AbortSignal): AsyncGenerator<Change> {
    const wanted = new Set(names.map((name) => `models/${parseModelName(name)}`));
    for await (const change of this.#changes.watch(signal)) {
      if (wanted.size === 0 || wanted.has(change.model.name)) yield change;
    }
  }

  #checkHeader(header: CreateVersionHeader): string {
    const sizeBytes = toBinary(CreateVersionHeaderSchema, header).length;
    if (sizeBytes > MAX_HEADER_BYTES) {
      throw new HeaderTooLarge({ sizeBytes: String(sizeBytes), maxBytes: String(MAX_HEADER_BYTES) });
    }
    this.#resolveParents(header);
    return parseModelId(header.model);
  }

  #resolveParents(header: CreateVersionHeader): string[] {
    return header.parents.map((parent) => this.#parts.catalogue.resolve(parseVersionReference(parent)).name);
  }

  async #commit(header: CreateVersionHeader, staged: StagedObject): Promise<ModelVersion> {
    const { catalogue, objects, clock } = this.#parts;
    const expected = header.digest.toLowerCase();
    if (expected !== '' && expected !== staged.digest) {
      throw new DigestMismatch({ expected, actual: staged.digest });
    }
    // Two calls with one request id may have uploaded at the same time.
    const existing = catalogue.byRequest(header.model, header.requestId);
    if (existing !== undefined) return existing;
    const { model, metrics, labels, datasetVersion } = header;
    const facts = {
      model,
      metrics,
      labels,
      datasetVersion,
      parents: this.#resolveParents(header),
      digest: staged.digest,
      sizeBytes: BigInt(staged.sizeBytes),
      ...(header.signature === undefined ? {} : { signature: header.signature }),
      ...(header.recipe === undefined ? {} : { recipe: header.recipe }),
    };
    await objects.adopt(staged);
    const version = await catalogue.add(model, facts, { requestId: header.requestId, nowMs: clock.now() });
    this.#announce(model, { version: version.name });
    return version;
  }

  #checkExpected(reference: AliasReference, name: string, expectedVersion: string): void {
    const { model, version } = parseVersionName(expectedVersion);
    const current = this.#parts.catalogue.model(reference.model).aliases[reference.alias];
    if (model === reference.model && current === BigInt(version)) return;
    const actual = current === undefined ? 'nothing' : versionName(reference.model, current);
    throw new AliasMoved({ name, expected: expectedVersion, actual });
  }

  #announce(id: string, what: { readonly version?: string; readonly alias?: string }): Model {
    const model = this.#parts.catalogue.model(id);
    this.#changes.publish({ model, version: what.version ?? '', alias: what.alias ?? '', deleted: false });
    return model;
  }

  /** Runs one change after the other, so that numbers and aliases never race. */
  #exclusive<Result>(action: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(action, action);
    this.#last = result.catch(() => undefined);
    return result;
  }
}

/** Ascending order of this key is newest first. */
function newestFirst(version: ModelVersion): string {
  const timeMs = version.createTime === undefined ? 0 : timestampMs(version.createTime);
  const time = String(LAST_TIME_MS - timeMs).padStart(13, '0');
  return `${time} ${version.model} ${String(LAST_NUMBER - Number(version.version)).padStart(15, '0')}`;
}
