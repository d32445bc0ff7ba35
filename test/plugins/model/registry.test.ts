import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { create } from '@bufbuild/protobuf';
import {
  type CreateVersionHeader,
  CreateVersionHeaderSchema,
  type CreateVersionRequest,
  CreateVersionRequestSchema,
  SetAliasRequestSchema,
} from 'lamella/proto/lamella/model/v1/registry_service';
import type { ModelVersion } from 'lamella/proto/lamella/model/v1/model';
import { isDeclaredError, type Storage, type StorageEntry } from 'lamella/sdk';
import { Catalogue } from '../../../plugins/model/registry/catalogue.ts';
import { ObjectStore } from '../../../plugins/model/registry/object-store.ts';
import { Registry } from '../../../plugins/model/registry/registry.ts';

class MemoryStorage implements Storage {
  readonly directory: string;
  readonly #values: Map<string, unknown> = new Map<string, unknown>();
  /** Number of puts that still work; afterwards the "process" is dead. */
  putsLeft = Infinity;

  constructor(directory: string) {
    this.directory = directory;
  }

  async get<Value>(key: string): Promise<Value | undefined> {
    return this.#values.get(key) as Value | undefined;
  }

  async put(key: string, value: unknown): Promise<void> {
    if (this.putsLeft === 0) throw new Error('killed');
    this.putsLeft -= 1;
    this.#values.set(key, structuredClone(value));
  }

  async delete(key: string): Promise<boolean> {
    return this.#values.delete(key);
  }

  async *range(prefix: string): AsyncGenerator<StorageEntry> {
    for (const key of [...this.#values.keys()]
      .filter((candidate) => candidate.startsWith(prefix))
      .toSorted()) {
      yield { key, value: this.#values.get(key) };
    }
  }
}

type HeaderInit = Partial<Omit<CreateVersionHeader, '$typeName'>>;

async function* upload(
  header: HeaderInit,
  ...chunks: readonly string[]
): AsyncGenerator<CreateVersionRequest> {
  const value = create(CreateVersionHeaderSchema, { model: 'digits', ...header });
  yield create(CreateVersionRequestSchema, { part: { case: 'header', value } });
  for (const chunk of chunks) {
    yield create(CreateVersionRequestSchema, { part: { case: 'chunk', value: Buffer.from(chunk) } });
  }
}

function reason(expected: string): (error: unknown) => boolean {
  return (error) => {
    assert.equal(isDeclaredError(error) ? error.reason : error, expected);
    return true;
  };
}

describe('model registry', () => {
  let storage: MemoryStorage;
  let registry: Registry;
  let nowMs: number;

  const open = async (): Promise<Registry> => {
    const catalogue = await Catalogue.open(storage);
    const objects = new ObjectStore(storage.directory);
    await objects.open(catalogue.digests());
    return new Registry({ catalogue, objects, clock: { now: () => nowMs }, maxArtifactBytes: 1_000 });
  };
  const artifact = async (version: ModelVersion): Promise<string> => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of registry.read(version)) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  };
  const setAlias = (alias: string, version: number, expectedVersion = ''): Promise<unknown> =>
    registry.setAlias(
      create(SetAliasRequestSchema, {
        name: `models/digits/aliases/${alias}`,
        version: `models/digits/versions/${version}`,
        expectedVersion,
      }),
    );

  beforeEach(async () => {
    nowMs = 1_000;
    storage = new MemoryStorage(await mkdtemp(path.join(tmpdir(), 'lamella-registry-')));
    registry = await open();
  });
  afterEach(() => rm(storage.directory, { recursive: true, force: true }));

  it('numbers the versions of each model from 1 and gives the file back', async () => {
    const first = await registry.create(upload({ metrics: { accuracy: 0.92 } }, 'on', 'nx'));
    const second = await registry.create(upload({ parents: [first.name] }, 'other'));
    const foreign = await registry.create(upload({ model: 'letters' }, 'onnx'));
    assert.deepEqual(
      [first.name, second.name, foreign.name],
      ['models/digits/versions/1', 'models/digits/versions/2', 'models/letters/versions/1'],
    );
    assert.equal(first.digest, createHash('sha256').update('onnx').digest('hex'));
    assert.equal(await artifact(first), 'onnx');
    assert.deepEqual(second.parents, ['models/digits/versions/1']);
  });

  it('knows everything again after a restart', async () => {
    const made = await registry.create(
      upload({ requestId: 'r1', labels: { a: 'b' }, recipe: { epochs: 3 } }, 'x'),
    );
    await setAlias('champion', 1);
    registry = await open();
    const found = registry.version('models/digits/aliases/champion');
    assert.deepEqual({ ...found, aliases: [] }, { ...made });
    assert.deepEqual(found.aliases, ['champion']);
    assert.equal((await registry.create(upload({ requestId: 'r1' }, 'y'))).name, made.name);
  });

  it('makes one version for a request id, also when two calls race', async () => {
    const versions = await Promise.all([
      registry.create(upload({ requestId: 'same' }, 'x')),
      registry.create(upload({ requestId: 'same' }, 'x')),
    ]);
    assert.deepEqual(
      versions.map(({ version }) => version),
      [1n, 1n],
    );
    assert.equal(registry.model('models/digits').versionCount, 1n);
  });

  it('leaves nothing of a version when the process dies before it is recorded', async () => {
    storage.putsLeft = 0;
    await assert.rejects(registry.create(upload({}, 'half')), /killed/);
    storage.putsLeft = Infinity;
    await writeFile(path.join(storage.directory, 'staging', 'left-behind'), 'x');
    registry = await open();
    assert.deepEqual(registry.listModels({ pageSize: 0, pageToken: '' }).items, []);
    assert.deepEqual(await readdir(path.join(storage.directory, 'objects')), []);
    assert.deepEqual(await readdir(path.join(storage.directory, 'staging')), []);
    assert.equal((await registry.create(upload({}, 'whole'))).version, 1n);
  });

  it('keeps nothing of an upload that the caller breaks off', async () => {
    const broken = async function* (): AsyncGenerator<CreateVersionRequest> {
      yield* upload({}, 'part');
      throw new Error('cancelled');
    };
    await assert.rejects(registry.create(broken()), /cancelled/);
    assert.deepEqual(await readdir(path.join(storage.directory, 'staging')), []);
  });

  it('refuses bad uploads by reason', async () => {
    const big = 'x'.repeat(600);
    const cases: readonly (readonly [AsyncIterable<CreateVersionRequest>, string])[] = [
      [upload({ model: '../etc' }, 'x'), 'NAME_INVALID'],
      [upload({ model: '..' }, 'x'), 'NAME_INVALID'],
      [upload({}), 'UPLOAD_MALFORMED'],
      [upload({}, ''), 'UPLOAD_MALFORMED'],
      [upload({}, big, big), 'ARTIFACT_TOO_LARGE'],
      [upload({ digest: 'a'.repeat(64) }, 'x'), 'DIGEST_MISMATCH'],
      [upload({ parents: ['models/digits/versions/9'] }, 'x'), 'MODEL_NOT_FOUND'],
      [upload({ labels: { a: 'x'.repeat(1_100_000) } }, 'x'), 'HEADER_TOO_LARGE'],
      [(async function* () {})(), 'UPLOAD_MALFORMED'],
    ];
    for (const [requests, expected] of cases)
      await assert.rejects(registry.create(requests), reason(expected));
    assert.deepEqual(await readdir(path.join(storage.directory, 'staging')), []);
    assert.deepEqual(await readdir(path.join(storage.directory, 'objects')), []);
  });

  it('moves an alias only from the version that the caller expects', async () => {
    for (const text of ['a', 'b', 'c']) await registry.create(upload({}, text));
    await setAlias('champion', 1);
    await setAlias('champion', 2, 'models/digits/versions/1');
    await assert.rejects(setAlias('champion', 3, 'models/digits/versions/1'), reason('ALIAS_MOVED'));
    assert.deepEqual(registry.model('models/digits').aliases, { champion: 2n });
    await registry.deleteAlias('models/digits/aliases/champion');
    assert.throws(() => registry.version('models/digits/aliases/champion'), reason('ALIAS_NOT_FOUND'));
    await assert.rejects(setAlias('latest', 1), reason('NAME_INVALID'));
    assert.throws(() => registry.version('models/digits/aliases/__proto__'), reason('ALIAS_NOT_FOUND'));
  });

  it('deletes versions without using a number twice or losing a file that another version shares', async () => {
    await registry.create(upload({}, 'same'));
    const second = await registry.create(upload({}, 'same'));
    await setAlias('champion', 2);
    await registry.deleteVersion('models/digits/versions/1', false);
    assert.equal(await artifact(second), 'same');
    await assert.rejects(registry.deleteVersion('models/digits/versions/2', false), reason('VERSION_IN_USE'));
    await registry.deleteVersion('models/digits/versions/2', true);
    assert.deepEqual(await readdir(path.join(storage.directory, 'objects')), []);
    registry = await open();
    assert.throws(() => registry.model('models/digits'), reason('MODEL_NOT_FOUND'));
    assert.equal((await registry.create(upload({}, 'new'))).version, 3n);
  });

  it('pages through versions, newest first, while others come and go', async () => {
    for (let number = 1; number <= 5; number += 1) await registry.create(upload({}, String(number)));
    const first = registry.listVersions('models/-', { pageSize: 2, pageToken: '' });
    assert.deepEqual(
      first.items.map(({ version }) => version),
      [5n, 4n],
    );
    nowMs = 2_000;
    await registry.create(upload({}, '6'));
    await registry.deleteVersion('models/digits/versions/4', false);
    const second = registry.listVersions('models/-', { pageSize: 9, pageToken: first.nextPageToken });
    assert.deepEqual(
      second.items.map(({ version }) => version),
      [3n, 2n, 1n],
    );
    assert.equal(second.nextPageToken, '');
    assert.throws(() => registry.listModels({ pageSize: 0, pageToken: 'zzz' }), reason('PAGE_INVALID'));
  });

  it('says so when a file on disk was changed or lost', async () => {
    const version = await registry.create(upload({}, 'good'));
    await writeFile(path.join(storage.directory, 'objects', version.digest), 'evil');
    await assert.rejects(artifact(version), reason('ARTIFACT_DAMAGED'));
    await rm(path.join(storage.directory, 'objects', version.digest));
    await assert.rejects(artifact(version), reason('ARTIFACT_DAMAGED'));
  });

  it('tells watchers of each change until they leave', async () => {
    const stop = new AbortController();
    const changes = registry.watch(['models/digits'], stop.signal);
    const next = changes.next();
    await registry.create(upload({ model: 'letters' }, 'x'));
    await registry.create(upload({}, 'x'));
    await setAlias('champion', 1);
    assert.equal((await next).value?.version, 'models/digits/versions/1');
    assert.equal((await changes.next()).value?.alias, 'champion');
    const last = changes.next();
    stop.abort();
    assert.equal((await last).done, true);
  });
});
