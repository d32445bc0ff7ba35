import { createHash } from 'node:crypto';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type Dataset,
  type DatasetVersion,
  DatasetSchema,
  DatasetVersionSchema,
} from 'lamella/proto/lamella/data/v1/dataset';
import type { Storage } from 'lamella/sdk';
import { DatasetVersionNotFound } from './errors.ts';
import { isAbandoned, type WriterMark } from './writer-mark.ts';

const NAME = /^datasets\/([\w.-]{1,128})\/versions\/([\w-]{1,64})$/;

/** Dataset and version part of a name. @throws DATASET_VERSION_NOT_FOUND */
export function parseName(name: string): { dataset: string; id: string } {
  const match = NAME.exec(name);
  if (match === null) throw new DatasetVersionNotFound({ name });
  return { dataset: match[1] ?? '', id: match[2] ?? '' };
}

/** Full name of a version. */
export function versionName(dataset: string, fingerprint: string): string {
  return `datasets/${dataset}/versions/${fingerprint}`;
}

/** What versions there are. Entries are small; rows are the drivers' business. */
export class Catalogue {
  readonly #storage: Storage;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** @throws DATASET_VERSION_NOT_FOUND */
  async get(name: string): Promise<DatasetVersion> {
    const { dataset, id } = parseName(name);
    if (id === 'latest') {
      const latest = (await this.versions(dataset)).at(-1);
      if (latest === undefined) throw new DatasetVersionNotFound({ name });
      return latest;
    }
    const found = await this.find(dataset, id);
    if (found === undefined) throw new DatasetVersionNotFound({ name });
    return found;
  }

  async find(dataset: string, fingerprint: string): Promise<DatasetVersion | undefined> {
    const bytes = await this.#storage.get<Uint8Array>(key(dataset, fingerprint));
    return bytes === undefined ? undefined : fromBinary(DatasetVersionSchema, bytes);
  }

  async put(version: DatasetVersion): Promise<void> {
    await this.#storage.put(
      key(version.dataset, version.fingerprint),
      toBinary(DatasetVersionSchema, version),
    );
  }

  async delete(version: DatasetVersion): Promise<void> {
    await this.#storage.delete(key(version.dataset, version.fingerprint));
  }

  /** Version that a writer's request id has led to, if it is still there. */
  async written(dataset: string, requestId: string): Promise<DatasetVersion | undefined> {
    const id = await this.#storage.get<string>(requestKey(dataset, requestId));
    return id === undefined ? undefined : this.find(dataset, id);
  }

  async remember(version: DatasetVersion, requestId: string): Promise<void> {
    await this.#storage.put(requestKey(version.dataset, requestId), version.fingerprint);
  }

  /** Notes that rows of a version may be in the driver without an entry here, or the other way round. */
  async doubt(versionId: string, mark: WriterMark): Promise<void> {
    await this.#storage.put(`doubt/${versionId}`, mark);
  }

  async settle(versionId: string): Promise<void> {
    await this.#storage.delete(`doubt/${versionId}`);
  }

  /** Version ids in doubt that nobody works on any more. */
  async abandoned(nowMs: number): Promise<string[]> {
    const ids: string[] = [];
    for await (const { key: id, value } of this.#storage.range('doubt/')) {
      if (isAbandoned(value as WriterMark, nowMs)) ids.push(id.slice('doubt/'.length));
    }
    return ids;
  }

  /** Versions of one dataset, or of all with an empty name; oldest first. */
  async versions(dataset = ''): Promise<DatasetVersion[]> {
    const versions: DatasetVersion[] = [];
    for await (const { value } of this.#storage.range(dataset === '' ? 'version/' : `version/${dataset}/`)) {
      versions.push(fromBinary(DatasetVersionSchema, value as Uint8Array));
    }
    return versions.toSorted((a, b) => createdMs(a) - createdMs(b));
  }

  async datasets(): Promise<Dataset[]> {
    const byName = group(await this.versions());
    return [...byName].map(([name, versions]) => {
      const latest = versions.at(-1);
      return create(DatasetSchema, {
        name: `datasets/${name}`,
        latestVersion: latest?.name ?? '',
        versionCount: BigInt(versions.length),
        ...(latest?.createTime === undefined ? {} : { updateTime: latest.createTime }),
      });
    });
  }
}

function group(versions: readonly DatasetVersion[]): Map<string, DatasetVersion[]> {
  const groups = new Map<string, DatasetVersion[]>();
  for (const version of versions)
    groups.set(version.dataset, [...(groups.get(version.dataset) ?? []), version]);
  return groups;
}

function createdMs({ createTime }: DatasetVersion): number {
  return createTime === undefined ? 0 : Number(createTime.seconds) * 1_000 + createTime.nanos / 1e6;
}

/** Request ids come from outside and may be of any length, keys may not. */
function requestKey(dataset: string, requestId: string): string {
  return `request/${dataset}/${createHash('sha256').update(requestId).digest('hex')}`;
}

function key(dataset: string, fingerprint: string): string {
  return `version/${dataset}/${fingerprint}`;
}
