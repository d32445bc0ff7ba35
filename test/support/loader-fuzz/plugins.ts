import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { create, createFileRegistry, type DescService } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

/** A plugin of the fuzzed loader. */
export interface FuzzPlugin {
  readonly id: string;
  readonly service: string;
  /** Fields of `plugin.json` that say what is special about it. */
  readonly manifest: Readonly<Record<string, unknown>>;
}

const PACKAGE = 'fuzz.v1';

/** A plugin with a version that provides something else. */
export const OTHER_PROVIDER = 'test.provider';

/** That version. */
export const OTHER_VERSION = '4.0.0';

/** What {@link OTHER_VERSION} provides. */
export const OTHER_SERVICE: string = `${PACKAGE}.Other`;

/** One of each kind: one that another needs, that other, one that runs alone, and one that rests until it is called. */
export const PLUGINS: readonly FuzzPlugin[] = [
  { id: OTHER_PROVIDER, service: `${PACKAGE}.Provider`, manifest: {} },
  {
    id: 'test.dependant',
    service: `${PACKAGE}.Dependant`,
    manifest: { requires: [{ service: `${PACKAGE}.Provider` }] },
  },
  { id: 'test.exclusive', service: `${PACKAGE}.Exclusive`, manifest: { exclusive: true } },
  {
    id: 'test.lazy',
    service: `${PACKAGE}.Lazy`,
    manifest: { activation: 'ON_CALL', protos: ['lazy.proto'] },
  },
];

/** Versions of each plugin. */
export const VERSIONS: readonly string[] = ['1.0.0', '2.0.0', '3.0.0'];

/** All services that any plugin provides. */
export const SERVICES: readonly string[] = [...PLUGINS.map(({ service }) => service), OTHER_SERVICE];

/** Time that calls get when their instance goes out of service, in milliseconds. */
export const DRAIN_MS = 1_000;

/** Calls of a plugin that run at once, and that wait for those. */
export const CALL_LIMITS = { concurrency: 2, queue: 3 } as const;

const root = mkdtempSync(path.join(tmpdir(), 'lamella-fuzz-'));

/** Folder of a version. */
export function folderOf(id: string, version: string): string {
  return path.join(root, id, version);
}

/** Writes the folders of all versions. @returns the folder that has to be removed in the end */
export function writeFolders(): string {
  for (const plugin of PLUGINS) for (const version of VERSIONS) writeFolder(plugin, version, plugin.service);
  const [provider] = PLUGINS;
  if (provider !== undefined) writeFolder(provider, OTHER_VERSION, OTHER_SERVICE);
  return root;
}

function writeFolder({ id, manifest }: FuzzPlugin, version: string, service: string): void {
  const folder = folderOf(id, version);
  mkdirSync(folder, { recursive: true });
  const text = JSON.stringify({
    id,
    version,
    entry: { module: 'index.ts' },
    isolation: { preferred: 'INLINE' },
    provides: [{ service }],
    probes: { drainTimeout: `${DRAIN_MS / 1_000}s` },
    resources: CALL_LIMITS,
    ...manifest,
  });
  writeFileSync(path.join(folder, 'plugin.json'), text);
  const methods = 'service Lazy { rpc Say(Word) returns (Word); }';
  const proto = `syntax = "proto3";\npackage ${PACKAGE};\nmessage Word {}\n${methods}\n`;
  writeFileSync(path.join(folder, 'lazy.proto'), proto);
}

/** Descriptor of a service with one method, `Say`. */
export function serviceOf(name: string): DescService {
  const found = registry.getService(name);
  if (found === undefined) throw new Error(`there is no ${name}`);
  return found;
}

const word = `.${PACKAGE}.Word`;

const registry = createFileRegistry(
  create(FileDescriptorSetSchema, {
    file: [
      create(FileDescriptorProtoSchema, {
        name: 'fuzz.proto',
        package: PACKAGE,
        syntax: 'proto3',
        messageType: [{ name: 'Word' }],
        service: SERVICES.map((name) => ({
          name: name.slice(PACKAGE.length + 1),
          method: [{ name: 'Say', inputType: word, outputType: word }],
        })),
      }),
    ],
  }),
);
