import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { createFileRegistry, type DescMethod, type DescService, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema, MethodOptions_IdempotencyLevel } from '@bufbuild/protobuf/wkt';

const run = promisify(execFile);

/** Every service of the project's own packages, read from the sources. */
async function ownServices(): Promise<DescService[]> {
  const command = resolve('node_modules/.bin/buf');
  const options = { encoding: 'buffer', maxBuffer: 64 * 1024 * 1024 } as const;
  const { stdout } = await run(command, ['build', '--output', '-#format=binpb'], options);
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, stdout));
  return [...registry]
    .filter((type) => type.kind === 'service')
    .filter((type) => type.typeName.startsWith('lamella.'));
}

/** What a method that lists things lacks. */
function pagingFaults(method: DescMethod): string[] {
  const request = ['page_size', 'page_token'].filter(
    (name) => !method.input.fields.some((field) => field.name === name),
  );
  const response = method.output.fields.some((field) => field.name === 'next_page_token')
    ? []
    : ['next_page_token'];
  const items =
    method.output.fields.find((field) => field.number === 1)?.fieldKind === 'list'
      ? []
      : ['items in field 1'];
  return [...request, ...response, ...items].map(
    (what) => `${method.parent.typeName}.${method.name} lacks ${what}`,
  );
}

describe('services of the proto files', function () {
  this.timeout(60_000);
  let services: DescService[] = [];
  let methods: DescMethod[] = [];

  before(async () => {
    services = await ownServices();
    methods = services.flatMap((service) => service.methods);
  });

  it('stand alone in a file that is named after them', () => {
    assert.ok(services.length > 20);
    const misplaced = services.filter((service) => {
      const words = service.name.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '_').toLowerCase();
      return service.file.services.length !== 1 || !service.file.name.endsWith(`/${words}`);
    });
    assert.deepEqual(misplaced.map(String), []);
  });

  it('give every list in pages', () => {
    const lists = methods.filter((method) => method.name.startsWith('List'));
    assert.ok(lists.length > 10);
    assert.deepEqual(lists.flatMap(pagingFaults), []);
  });

  it('mark methods that only read, so that clients may repeat them', () => {
    const readers = methods.filter((method) => /^(?:Get|List|Read|Watch|Describe)[A-Z]/.test(method.name));
    const unmarked = readers.filter(
      (method) => method.idempotency !== MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS,
    );
    assert.ok(readers.length > 20);
    assert.deepEqual(unmarked.map(String), []);
  });
});
