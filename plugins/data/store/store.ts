import { createHash, randomUUID } from 'node:crypto';
import { create, equals } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import {
  type DatasetVersion,
  DatasetVersionSchema,
  type Schema,
  SchemaSchema,
} from 'lamella/proto/lamella/data/v1/dataset';
import type { WriteVersionHeader, WriteVersionRequest } from 'lamella/proto/lamella/data/v1/store_service';
import { type Clock, isDeclaredError, type Storage } from 'lamella/sdk';
import { decodeArrow } from 'lamella/sdk/arrow';
import { Catalogue, versionName } from './catalogue.ts';
import type { RowRange, StoreDriver } from './driver.ts';
import { DatasetColumnNotFound, DatasetVersionInUse, DriverUnknown, WriteInvalid } from './errors.ts';
import { fingerprint } from './fingerprint.ts';
import { writerMark } from './writer-mark.ts';

/** Name of the driver that is used when a writer asks for none. */
export const DEFAULT_DRIVER = 'lmdb';

/** What a store is made of. */
export interface StoreParts {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly driver: StoreDriver;
  readonly maxBatchBytes: number;
}

const DATASET = /^[\w.-]{1,128}$/;

/** Datasets as immutable versions: rows in a driver, names and lineage in the catalogue. */
export class Store {
  readonly #parts: StoreParts;
  readonly catalogue: Catalogue;
  /** End of the queue of commits and deletions: they look first and act then, so one at a time. */
  #turn: Promise<unknown> = Promise.resolve();
  #lastCreatedMs = 0;

  constructor(parts: StoreParts) {
    this.#parts = parts;
    this.catalogue = new Catalogue(parts.storage);
  }

  /** Removes the rows of versions whose writer was killed between the driver and the catalogue. */
  async sweep(): Promise<void> {
    const { driver, clock } = this.#parts;
    for (const versionId of await this.catalogue.abandoned(clock.now())) {
      const [dataset = '', id = ''] = versionId.split('/');
      if ((await this.catalogue.find(dataset, id)) === undefined) await deleteIfThere(driver, versionId);
      await this.catalogue.settle(versionId);
    }
  }

  async #alone<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  /**
   * Takes a header and batches and makes a version of them. A version with the same fingerprint, or the same request
   * id, is returned instead of written twice.
   *
   * @throws WRITE_INVALID, ARROW_INVALID, ROWS_NOT_STORED; nothing of the version is kept then.
   */
  async write(requests: AsyncIterable<WriteVersionRequest>): Promise<DatasetVersion> {
    const iterator = requests[Symbol.asyncIterator]();
    const header = await this.#header(await iterator.next());
    const { driver } = this.#parts;
    const { dataset, requestId } = header;
    const known = requestId === '' ? undefined : await this.catalogue.written(dataset, requestId);
    if (known !== undefined) return known;
    const writeId = randomUUID();
    await driver.openWrite(writeId);
    try {
      const { schema, digest } = await this.#append(writeId, header, {
        [Symbol.asyncIterator]: () => iterator,
      });
      const version = await this.#alone(async () => this.#commit(writeId, { ...header, schema }, digest));
      if (requestId !== '') await this.catalogue.remember(version, requestId);
      return version;
    } catch (error) {
      // What went wrong first is what the writer must hear; rows that cannot be removed now are swept later.
      await driver.abort(writeId).catch(() => undefined);
      throw error;
    }
  }

  async #header(first: IteratorResult<WriteVersionRequest>): Promise<WriteVersionHeader> {
    if (first.done === true || first.value.part.case !== 'header') {
      throw new WriteInvalid({ problem: 'the first message must be the header' });
    }
    const header = first.value.part.value;
    if (!DATASET.test(header.dataset)) {
      throw new WriteInvalid({
        problem: `'${header.dataset}' is not a dataset name (letters, digits, . _ -)`,
      });
    }
    if (header.driver !== '' && header.driver !== DEFAULT_DRIVER) {
      throw new DriverUnknown({ driver: header.driver });
    }
    return header;
  }

  async #append(
    writeId: string,
    header: WriteVersionHeader,
    requests: AsyncIterable<WriteVersionRequest>,
  ): Promise<{ schema: Schema; digest: string }> {
    const { driver, maxBatchBytes } = this.#parts;
    const hash = createHash('sha256');
    let schema = header.schema?.fields.length === 0 ? undefined : header.schema;
    for await (const { part } of requests) {
      if (part.case !== 'arrowIpc')
        throw new WriteInvalid({ problem: 'after the header only arrow_ipc may follow' });
      if (part.value.byteLength > maxBatchBytes) {
        throw new WriteInvalid({
          problem: `a batch has ${part.value.byteLength} bytes, the limit is ${maxBatchBytes}`,
        });
      }
      schema = checkSchema(schema, decodeArrow(part.value).schema);
      hash.update(part.value);
      await driver.append(writeId, part.value);
    }
    if (schema === undefined) throw new WriteInvalid({ problem: 'there is neither a schema nor a batch' });
    return { schema, digest: hash.digest('hex') };
  }

  async #commit(writeId: string, header: WriteVersionHeader, digest: string): Promise<DatasetVersion> {
    const { driver, clock } = this.#parts;
    const parents = await Promise.all(header.parents.map((name) => this.catalogue.get(name)));
    const id = fingerprint(
      header,
      parents.map((parent) => parent.fingerprint),
      digest,
    );
    const existing = await this.catalogue.find(header.dataset, id);
    if (existing !== undefined) {
      await driver.abort(writeId);
      return existing;
    }
    const versionId = `${header.dataset}/${id}`;
    await this.catalogue.doubt(versionId, writerMark(clock.now()));
    const { rowCount, sizeBytes } = await driver.commit(writeId, versionId);
    // Never the same moment twice, so that `latest` is one version.
    this.#lastCreatedMs = Math.max(clock.now(), this.#lastCreatedMs + 1);
    const version = create(DatasetVersionSchema, {
      name: versionName(header.dataset, id),
      dataset: header.dataset,
      fingerprint: id,
      rowCount: BigInt(rowCount),
      sizeBytes: BigInt(sizeBytes),
      parents: parents.map(({ name }) => name),
      createTime: timestampFromMs(this.#lastCreatedMs),
      driver: DEFAULT_DRIVER,
      ...(header.schema === undefined ? {} : { schema: header.schema }),
      ...(header.step === undefined ? {} : { step: header.step }),
    });
    try {
      await this.catalogue.put(version);
    } catch (error) {
      await deleteIfThere(driver, versionId).catch(() => undefined);
      throw error;
    }
    await this.catalogue.settle(versionId);
    return version;
  }

  /** Rows of a version as Arrow IPC batches. */
  async *read(name: string, range: RowRange): AsyncGenerator<Uint8Array> {
    const version = await this.catalogue.get(name);
    const names = version.schema?.fields.map((field) => field.name) ?? [];
    const unknown = range.columns.find((column) => !names.includes(column));
    if (unknown !== undefined) {
      throw new DatasetColumnNotFound({ name: version.name, column: unknown, columns: names.join(', ') });
    }
    yield* this.#parts.driver.read(`${version.dataset}/${version.fingerprint}`, range);
  }

  /** @throws DATASET_VERSION_IN_USE unless forced. */
  async delete(name: string, force: boolean): Promise<void> {
    await this.#alone(async () => this.#delete(name, force));
  }

  async #delete(name: string, force: boolean): Promise<void> {
    const version = await this.catalogue.get(name);
    const children = (await this.catalogue.versions()).filter(({ parents }) =>
      parents.includes(version.name),
    );
    if (children.length > 0 && !force) {
      throw new DatasetVersionInUse({
        name: version.name,
        children: children.map((child) => child.name).join(', '),
      });
    }
    const versionId = `${version.dataset}/${version.fingerprint}`;
    await this.catalogue.doubt(versionId, writerMark(this.#parts.clock.now()));
    await this.catalogue.delete(version);
    await deleteIfThere(this.#parts.driver, versionId);
    await this.catalogue.settle(versionId);
  }

  /** A version and what it was made from, nearest first. */
  async lineage(name: string, depth: number): Promise<DatasetVersion[]> {
    const found = new Map<string, DatasetVersion>();
    let level = [await this.catalogue.get(name)];
    for (let step = 0; level.length > 0 && (depth === 0 || step <= depth); step += 1) {
      for (const version of level) found.set(version.name, version);
      const parents = level.flatMap((version) => version.parents).filter((parent) => !found.has(parent));
      const next = await Promise.all([...new Set(parents)].map(async (parent) => this.#ifThere(parent)));
      level = next.flatMap((version) => version ?? []);
    }
    return [...found.values()];
  }

  async #ifThere(name: string): Promise<DatasetVersion | undefined> {
    // A parent may have been deleted by force; its child still says its name.
    return (await this.catalogue.versions()).find((version) => version.name === name);
  }
}

async function deleteIfThere(driver: StoreDriver, versionId: string): Promise<void> {
  await driver.delete(versionId).catch((error: unknown) => {
    if (!(isDeclaredError(error) && error.reason === 'DATASET_VERSION_NOT_FOUND')) throw error;
  });
}

/** @throws WRITE_INVALID if a batch has other columns than the version. */
function checkSchema(expected: Schema | undefined, actual: Schema): Schema {
  if (expected === undefined) return actual;
  const describe = (schema: Schema): string =>
    schema.fields.map(({ name, type, shape }) => `${name}:${type}[${shape.join(',')}]`).join(' ');
  if (equals(SchemaSchema, expected, actual) || describe(expected) === describe(actual)) return expected;
  throw new WriteInvalid({
    problem: `a batch has the columns ${describe(actual)}, the version has ${describe(expected)}`,
  });
}
