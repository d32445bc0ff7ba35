import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { type DescFile, type DescService, fromBinary, toJson } from '@bufbuild/protobuf';
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';
import { shippedServices } from '../../../kernel/loader/proto/shipped-services.ts';
import { parseManifest } from '../../../kernel/registry/manifest.ts';
import type { Manifest } from '../../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { isDeclaredError } from '../../../sdk/index.ts';
import { filesBelow } from '../../../scripts/source-files.ts';
import { ROOT } from '../../support/echo-plugin.ts';
import { TRICKY_PROTO, TRICKY_TYPES_PROTO } from '../../support/tricky-proto.ts';

const run = promisify(execFile);

function manifestOf(protos: readonly string[], services: readonly string[]): Manifest {
  return parseManifest(
    JSON.stringify({
      id: 'example.text',
      version: '0.1.0',
      entry: { command: ['./run'] },
      isolation: { preferred: 'PROCESS' },
      provides: services.map((service) => ({ service })),
      protos,
    }),
    'plugin.json',
  );
}

describe('services of shipped .proto text', () => {
  let folder = '';

  async function put(file: string, text: string): Promise<void> {
    const target = path.join(folder, 'plugin', file);
    await mkdir(path.dirname(target), { recursive: true });
    await writeFile(target, text);
  }

  function load(protos: readonly string[], services: readonly string[]): Promise<readonly DescService[]> {
    return shippedServices(manifestOf(protos, services), path.join(folder, 'plugin'));
  }

  async function failure(protos: readonly string[], services: readonly string[] = ['a.A']): Promise<string> {
    try {
      await load(protos, services);
    } catch (error) {
      assert.ok(isDeclaredError(error), String(error));
      return `${error.reason}: ${error.message}`;
    }
    return assert.fail('it was taken');
  }

  /** What the compiler makes of the same files. */
  async function compiled(): Promise<Map<string, FileDescriptorProto>> {
    const image = path.join(folder, 'image.binpb');
    const buf = path.join(ROOT, 'node_modules/.bin/buf');
    await run(buf, [
      'build',
      path.join(folder, 'plugin/proto'),
      '-o',
      image,
      '--as-file-descriptor-set',
      '--exclude-source-info',
    ]);
    const set = fromBinary(FileDescriptorSetSchema, await readFile(image));
    return new Map(set.file.map((file) => [file.name, file]));
  }

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'lamella-proto-'));
    await mkdir(path.join(folder, 'plugin'));
  });

  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it('gives the descriptors that the compiler gives, file by file', async () => {
    await put('proto/tricky/v1/tricky.proto', TRICKY_PROTO);
    await put('proto/tricky/v1/types.proto', TRICKY_TYPES_PROTO);
    const [service] = await load(['proto/tricky/v1/tricky.proto'], ['tricky.v1.TrickyService']);
    assert.ok(service);
    assert.deepEqual(
      service.methods.map(({ name, methodKind }) => [name, methodKind]),
      [
        ['One', 'unary'],
        ['Down', 'server_streaming'],
        ['Up', 'client_streaming'],
        ['Both', 'bidi_streaming'],
      ],
    );
    const expected = await compiled();
    const files = [
      service.file,
      ...service.file.dependencies.filter(({ name }) => name.startsWith('tricky/')),
    ];
    assert.equal(files.length, 2);
    for (const file of files) {
      const theirs = expected.get(file.proto.name);
      assert.ok(theirs, file.proto.name);
      assert.deepEqual(comparable(file.proto), comparable(theirs));
    }
  });

  it("lets a plugin provide a service of the kernel's own files", async () => {
    const name = 'lamella.data.v1.StoreDriverService';
    const [service] = await load(['lamella/data/v1/store_driver_service.proto'], [name]);
    assert.equal(service?.typeName, name);
    assert.ok(namesOf(service.file).includes('lamella/data/v1/dataset'));
  });

  it("describes every one of the kernel's own files", async () => {
    for (const file of await filesBelow('proto', '.proto')) {
      await assert.doesNotReject(load([file.slice('proto/'.length)], []), file);
    }
  });

  it('reads proto2 with required fields and defaults', async () => {
    await put(
      'old.proto',
      'syntax = "proto2"; package a; service A { rpc Go(M) returns (M); } message M { required int32 x = 1 [default = 5]; repeated int32 y = 2; }',
    );
    const [service] = await load(['old.proto'], ['a.A']);
    const [x, y] = service?.methods[0]?.input.fields ?? [];
    assert.equal(x?.proto.label, 2);
    assert.equal(x?.proto.defaultValue, '5');
    assert.equal(y?.fieldKind === 'list' && y.packed, false);
  });

  it('reads nothing without text', async () => {
    assert.deepEqual(await load([], ['a.A']), []);
  });

  it('names the line of broken text', async () => {
    await put('a.proto', 'syntax = "proto3";\npackage a;\nservice A { rpc Go(M returns (M); }\n');
    assert.match(await failure(['a.proto']), /^PROTO_TEXT_INVALID: .*example\.text.*a\.proto.*line 3/);
  });

  it('names a file that is missing', async () => {
    assert.match(await failure(['none.proto']), /^PROTO_TEXT_INVALID: .*none\.proto: there is no such file/);
    await put('a.proto', 'syntax = "proto3"; package a; import "b.proto"; service A {}');
    assert.match(await failure(['a.proto']), /^PROTO_TEXT_INVALID: .*b\.proto: there is no such file/);
  });

  it('names a type that is not declared', async () => {
    await put('a.proto', 'syntax = "proto3"; package a; service A { rpc Go(Missing) returns (Missing); }');
    assert.match(await failure(['a.proto']), /^PROTO_TEXT_INVALID: .*Missing/);
  });

  it('names a service that the manifest provides and the text does not declare', async () => {
    await put(
      'a.proto',
      'syntax = "proto3"; package a; service Greeter { rpc Go(M) returns (M); } message M {}',
    );
    assert.match(
      await failure(['a.proto'], ['a.Greetr']),
      /^SERVICE_UNDESCRIBED: .*provides a\.Greetr.*the text has a\.Greeter/,
    );
  });

  for (const target of ['/etc/hostname', '../secret.proto', 'x/../../secret.proto', '\\x2fetc/hostname']) {
    it(`reads no file outside the plugin: import "${target}"`, async () => {
      await writeFile(path.join(folder, 'secret.proto'), 'SECRET');
      await put('x/y.proto', '');
      await put(
        'a.proto',
        `syntax = "proto3"; package a; option o = a//; import "${target}"; \n;service A {}`,
      );
      const text = await failure(['a.proto']);
      assert.match(text, /^PROTO_TEXT_INVALID/);
      assert.doesNotMatch(text, /SECRET/);
      await put('a.proto', `syntax = "proto3"; package a; import /* */ "${target}"; service A {}`);
      assert.match(await failure(['a.proto']), /^PROTO_TEXT_INVALID: .*(relative path|no such file)/);
    });
  }

  it('follows no link out of the plugin', async () => {
    await writeFile(path.join(folder, 'secret.proto'), 'SECRET');
    await symlink(path.join(folder, 'secret.proto'), path.join(folder, 'plugin/a.proto'));
    assert.match(await failure(['a.proto']), /^PROTO_TEXT_INVALID: .*link that leads out/);
  });

  it('waits for no pipe and reads no folder', async () => {
    await run('mkfifo', [path.join(folder, 'plugin/a.proto')]);
    assert.match(await failure(['a.proto']), /^PROTO_TEXT_INVALID: .*not a file/);
    await mkdir(path.join(folder, 'plugin/b.proto'));
    assert.match(await failure(['b.proto']), /^PROTO_TEXT_INVALID: .*not a file/);
  });

  it('refuses a huge file, endless imports and nesting without end', async () => {
    await put('a.proto', `syntax = "proto3"; // ${'x'.repeat(1024 * 1024)}`);
    assert.match(await failure(['a.proto']), /longer than 1048576 bytes/);
    for (let index = 0; index < 300; index += 1) {
      await put(`n${index}.proto`, `syntax = "proto3"; import "n${index + 1}.proto";`);
    }
    assert.match(await failure(['n0.proto']), /more than 256 files/);
    await put(
      'deep.proto',
      `syntax = "proto3"; package a; ${'message M {'.repeat(50_000)}${'}'.repeat(50_000)}`,
    );
    assert.match(await failure(['deep.proto']), /^PROTO_TEXT_INVALID/);
  });

  it('takes files that import each other in a circle for what they are: an error', async () => {
    await put(
      'a.proto',
      'syntax = "proto3"; package a; import "b.proto"; service A { rpc Go(M) returns (M); } message M {}',
    );
    await put('b.proto', 'syntax = "proto3"; package a; import "a.proto"; message N { M m = 1; }');
    assert.match(await failure(['a.proto']), /files import each other: a\.proto → b\.proto → a\.proto/);
  });

  it('asks for one name where a file is used under two', async () => {
    await put(
      'proto/a/b.proto',
      'syntax = "proto3"; package a; service A { rpc Go(M) returns (M); } message M {}',
    );
    await put('c.proto', 'syntax = "proto3"; package c; import "proto/a/b.proto"; import "a/b.proto";');
    assert.match(await failure(['c.proto']), /^PROTO_TEXT_INVALID: .*use one name/);
  });

  it('is not misled by names of built-in properties', async () => {
    await put(
      'a.proto',
      'syntax = "proto3"; package a; service A { rpc constructor(M) returns (M); rpc toString(M) returns (M); } message M { string constructor = 1; string __proto__ = 2; }',
    );
    const outcome = await load(['a.proto'], ['a.A']).catch((error: unknown) => error);
    assert.ok(Array.isArray(outcome) || isDeclaredError(outcome), String(outcome));
    assert.equal(({} as Record<string, unknown>)['string'], undefined);
  });
});

function namesOf(file: DescFile): string[] {
  return [file.name, ...file.dependencies.flatMap(namesOf)];
}

/** Without messages of options in which nothing is set. */
function comparable(file: FileDescriptorProto): unknown {
  const text = JSON.stringify(toJson(FileDescriptorProtoSchema, file), emptyToNothing);
  return JSON.parse(text);
}

function emptyToNothing(key: string, value: unknown): unknown {
  const isEmpty = typeof value === 'object' && value !== null && Object.keys(value).length === 0;
  return key === 'options' && isEmpty ? undefined : value;
}
