import { clone, create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import {
  type Model,
  ModelSchema,
  type ModelVersion,
  ModelVersionSchema,
} from 'lamella/proto/lamella/model/v1/model';
import type { Storage } from 'lamella/sdk';
import { AliasNotFound, ModelNotFound, VersionNotFound } from './errors.ts';
import { type VersionReference, versionName } from './names.ts';

/** What is kept of a model beside its versions. */
interface ModelRecord {
  readonly aliases: Readonly<Record<string, number>>;
  /** Highest number ever given and deleted again, so that it is not given twice. */
  readonly retired: number;
}

interface ModelEntry extends ModelRecord {
  readonly versions: Map<number, ModelVersion>;
  /** Version number by request id. */
  readonly requests: Map<string, number>;
}

interface VersionRecord {
  readonly message: Uint8Array;
  readonly requestId: string;
}

const NUMBER_DIGITS = 15;

/**
 * Models, versions and aliases: in memory for reading, in storage for keeps.
 *
 * @remarks The record of a version is written in one put after its file is in place: that put makes the version exist,
 * so a kill at any moment leaves all of it or none. Callers make one change at a time.
 */
export class Catalogue {
  readonly #storage: Storage;
  readonly #models = new Map<string, ModelEntry>();

  private constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** Reads what is stored. */
  static async open(storage: Storage): Promise<Catalogue> {
    const catalogue = new Catalogue(storage);
    for await (const { key, value } of storage.range('model/')) {
      catalogue.#models.set(key.slice('model/'.length), newEntry(value as ModelRecord));
    }
    for await (const { value } of storage.range('version/')) {
      const { message, requestId } = value as VersionRecord;
      catalogue.#remember(fromBinary(ModelVersionSchema, message), requestId);
    }
    return catalogue;
  }

  /** Digests of all files that versions name. */
  digests(): ReadonlySet<string> {
    return new Set(this.#allVersions().map((version) => version.digest));
  }

  /** All models in the order of their names. */
  models(): readonly Model[] {
    const names = [...this.#models.keys()].filter((model) => this.#isVisible(model)).toSorted();
    return names.map((model) => this.model(model));
  }

  /** One model. @throws MODEL_NOT_FOUND */
  model(model: string): Model {
    const entry = this.#models.get(model);
    if (entry === undefined || !this.#isVisible(model)) throw new ModelNotFound({ name: `models/${model}` });
    const latest = latestOf(entry);
    return create(ModelSchema, {
      name: `models/${model}`,
      latestVersion: latest?.version ?? 0n,
      aliases: Object.fromEntries(
        Object.entries(entry.aliases).map(([alias, number]) => [alias, BigInt(number)]),
      ),
      versionCount: BigInt(entry.versions.size),
      ...(latest?.createTime === undefined ? {} : { updateTime: latest.createTime }),
    });
  }

  /** Versions of one model, or of all when no model is given, in no order. @throws MODEL_NOT_FOUND */
  versions(model?: string): readonly ModelVersion[] {
    if (model === undefined) return this.#allVersions().map((version) => this.#withAliases(version));
    this.model(model);
    return [...(this.#models.get(model)?.versions.values() ?? [])].map((version) =>
      this.#withAliases(version),
    );
  }

  /** Finds the version that a name, an alias or `latest` means. @throws MODEL_NOT_FOUND VERSION_NOT_FOUND ALIAS_NOT_FOUND */
  resolve({ model, target }: VersionReference): ModelVersion {
    this.model(model);
    const entry = this.#models.get(model) ?? newEntry({ aliases: {}, retired: 0 });
    if (target.kind === 'latest') return this.#found(latestOf(entry), `models/${model}/versions/latest`);
    if (target.kind === 'number') {
      return this.#found(entry.versions.get(target.version), versionName(model, target.version));
    }
    const number = Object.hasOwn(entry.aliases, target.alias) ? entry.aliases[target.alias] : undefined;
    if (number === undefined) {
      throw new AliasNotFound({
        name: `models/${model}/aliases/${target.alias}`,
        known: Object.keys(entry.aliases).join(', ') || 'none',
      });
    }
    return this.#found(entry.versions.get(number), versionName(model, number));
  }

  /** The version that an earlier call with this request id made. */
  byRequest(model: string, requestId: string): ModelVersion | undefined {
    const entry = this.#models.get(model);
    const number = requestId === '' ? undefined : entry?.requests.get(requestId);
    const version = number === undefined ? undefined : entry?.versions.get(number);
    return version === undefined ? undefined : this.#withAliases(version);
  }

  /** Gives the next number and keeps the version; its file must be in place. */
  async add(
    model: string,
    init: Omit<ModelVersion, '$typeName' | 'name' | 'version' | 'createTime' | 'aliases'>,
    made: {
      readonly requestId: string;
      readonly nowMs: number;
    },
  ): Promise<ModelVersion> {
    const entry = this.#models.get(model);
    const latest = entry === undefined ? undefined : latestOf(entry);
    const number = Math.max(Number(latest?.version ?? 0), entry?.retired ?? 0) + 1;
    // A clock that was set back must not change the order of versions.
    const timeMs = Math.max(
      made.nowMs,
      latest?.createTime === undefined ? 0 : timestampMs(latest.createTime),
    );
    const version = create(ModelVersionSchema, {
      ...init,
      name: versionName(model, number),
      version: BigInt(number),
      createTime: timestampFromMs(timeMs),
    });
    const record: VersionRecord = {
      message: toBinary(ModelVersionSchema, version),
      requestId: made.requestId,
    };
    await this.#storage.put(versionKey(model, number), record);
    this.#remember(version, made.requestId);
    return version;
  }

  /** Points an alias to a version, or removes it. */
  async setAlias(model: string, alias: string, version: number | undefined): Promise<void> {
    const entry = this.#models.get(model);
    if (entry === undefined) throw new ModelNotFound({ name: `models/${model}` });
    const aliases = new Map(Object.entries(entry.aliases));
    if (version === undefined) aliases.delete(alias);
    else aliases.set(alias, version);
    await this.#putModel(model, { aliases: Object.fromEntries(aliases), retired: entry.retired });
  }

  /** Removes a version and the aliases that point to it. */
  async remove(model: string, number: number): Promise<void> {
    const entry = this.#models.get(model);
    if (entry === undefined) return;
    const aliases = Object.fromEntries(
      Object.entries(entry.aliases).filter(([, target]) => target !== number),
    );
    // First the number is retired, then the version goes: after a kill in between it can be deleted again.
    await this.#putModel(model, { aliases, retired: Math.max(entry.retired, number) });
    await this.#storage.delete(versionKey(model, number));
    const current = this.#models.get(model);
    current?.versions.delete(number);
  }

  async #putModel(model: string, record: ModelRecord): Promise<void> {
    await this.#storage.put(`model/${model}`, record);
    const { versions, requests } = this.#models.get(model) ?? newEntry(record);
    this.#models.set(model, { ...record, versions, requests });
  }

  #remember(version: ModelVersion, requestId: string): void {
    const number = Number(version.version);
    const entry = this.#models.get(version.model) ?? newEntry({ aliases: {}, retired: 0 });
    this.#models.set(version.model, entry);
    entry.versions.set(number, version);
    if (requestId !== '') entry.requests.set(requestId, number);
  }

  #isVisible(model: string): boolean {
    // A model whose versions are all deleted stays known by its retired numbers only.
    return (this.#models.get(model)?.versions.size ?? 0) > 0;
  }

  #allVersions(): ModelVersion[] {
    return [...this.#models.values()].flatMap((entry) => [...entry.versions.values()]);
  }

  #found(version: ModelVersion | undefined, name: string): ModelVersion {
    if (version === undefined) throw new VersionNotFound({ name });
    return this.#withAliases(version);
  }

  #withAliases(version: ModelVersion): ModelVersion {
    const aliases = Object.entries(this.#models.get(version.model)?.aliases ?? {})
      .filter(([, number]) => number === Number(version.version))
      .map(([alias]) => alias)
      .toSorted();
    return Object.assign(clone(ModelVersionSchema, version), { aliases });
  }
}

function newEntry({ aliases, retired }: ModelRecord): ModelEntry {
  return { aliases, retired, versions: new Map(), requests: new Map() };
}

function latestOf(entry: ModelEntry): ModelVersion | undefined {
  const number = Math.max(0, ...entry.versions.keys());
  return entry.versions.get(number);
}

function versionKey(model: string, number: number): string {
  return `version/${model}/${String(number).padStart(NUMBER_DIGITS, '0')}`;
}
