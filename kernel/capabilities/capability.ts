import { clone, create } from '@bufbuild/protobuf';
import {
  type Capabilities,
  CapabilitiesSchema,
  FileAccessSchema,
  type Manifest,
} from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { type TSchema, Type } from '../../sdk/index.ts';
import { coversTopic } from '../topics/topic.ts';

/** Rights that are checked by name; the names are those of the manifest. */
export type Capability = 'network' | 'files' | 'secrets' | 'topics' | 'services' | 'httpPrefix' | 'processes';

/** Tells whether a text is the name of such a right. */
export function isCapability(text: string): text is Capability {
  return Object.hasOwn(RULES, text);
}

/** What an operator grants of one plugin: each right that is named replaces what the manifest asks for. */
export interface CapabilitySettings {
  readonly network?: readonly string[];
  readonly secrets?: readonly string[];
  readonly topics?: readonly string[];
  readonly services?: readonly string[];
  readonly gpu?: boolean;
  readonly httpPrefix?: string;
  readonly files?: readonly { readonly path: string; readonly write?: boolean }[];
  readonly processes?: boolean;
}

const list = (description: string): TSchema => Type.Optional(Type.Array(Type.String(), { description }));

/** Schema of `plugins.<id>.capabilities`. */
export const CapabilitySettingsSchema: TSchema = Type.Object(
  {
    network: list(
      'Hosts that `host.fetch` and `host.connect` reach: `host`, `host:port`, or `*` for any public host.',
    ),
    files: Type.Optional(
      Type.Array(
        Type.Object(
          { path: Type.String({ minLength: 1 }), write: Type.Optional(Type.Boolean()) },
          { additionalProperties: false },
        ),
        {
          description:
            'Files and folders beside its own, absolute or relative to the home; `write` to change them too.',
        },
      ),
    ),
    processes: Type.Optional(Type.Boolean({ description: 'Whether a process may start programs.' })),
    secrets: list('Names of secrets.'),
    topics: list('Topics to publish on and subscribe to, beside those the manifest declares.'),
    services: list('Services to call beside those under `requires`; `*` means all.'),
    gpu: Type.Optional(Type.Boolean({ description: 'Whether a process sees graphics processors.' })),
    httpPrefix: Type.Optional(
      Type.String({
        pattern: '^(?:/(?:[\\w.-]+(?:/[\\w.-]+)*)?)?$',
        description: 'Prefix of HTTP paths; empty for none.',
      }),
    ),
  },
  {
    additionalProperties: false,
    description: 'Rights of the plugin: each one named here replaces what its manifest asks for.',
  },
);

/** The rights that a plugin has: what its manifest asks for, as the operator changes it. */
export function grantedTo({ capabilities }: Manifest, settings: CapabilitySettings = {}): Capabilities {
  const granted =
    capabilities === undefined ? create(CapabilitiesSchema) : clone(CapabilitiesSchema, capabilities);
  const { files, ...others } = structuredClone(settings);
  Object.assign(granted, others);
  if (files !== undefined) granted.files = files.map((file) => create(FileAccessSchema, file));
  return granted;
}

/** Services of the kernel itself that every plugin outside its thread may call. */
const ALWAYS_CALLABLE: ReadonlySet<string> = new Set([
  'lamella.kernel.v1.HostService',
  'lamella.kernel.v1.EventService',
]);

type Rule = (manifest: Manifest, target: string, granted: Capabilities) => boolean;

const RULES: Readonly<Record<Capability, Rule>> = {
  network: (_manifest, target, { network }) => network.some((entry) => coversHost(entry, target)),
  files: (_manifest, target, { files }) => files.some((granted) => coversFile(granted, target)),
  processes: (_manifest, _target, { processes }) => processes,
  secrets: (_manifest, target, { secrets }) => secrets.includes(target),
  topics: (manifest, target, { topics }) =>
    manifest.topics.some(({ name }) => name === target) ||
    topics.some((pattern) => coversTopic(pattern, target)),
  services: (manifest, target, { services }) =>
    ALWAYS_CALLABLE.has(target) ||
    manifest.requires.some(({ service }) => service === target) ||
    services.some((service) => service === '*' || service === target),
  httpPrefix: (_manifest, _target, { httpPrefix }) => httpPrefix !== '',
};

/** Tells whether a plugin with these rights may use something. */
export function allows(manifest: Manifest, capability: Capability, target: string): boolean {
  return RULES[capability](manifest, target, manifest.capabilities ?? create(CapabilitiesSchema));
}

/** A host without a port stands for its web ports; any other port has to be named. */
export function coversHost(entry: string, target: string): boolean {
  if (entry === '*') return true;
  const wanted = entry.toLowerCase();
  return target === wanted || target === `${wanted}:443` || target === `${wanted}:80`;
}

/** Tells whether a file or folder that was granted takes in `read <path>` or `write <path>`. */
function coversFile({ path, write }: { path: string; write: boolean }, target: string): boolean {
  const [, mode, file = ''] = /^(read|write) (.*)$/s.exec(target) ?? [];
  const isInside = file === path || file.startsWith(path.endsWith('/') ? path : `${path}/`);
  return isInside && (write || mode === 'read');
}

/** The line of config.json that grants one thing more. */
export function grantLine(manifest: Manifest, capability: Capability, target: string): string {
  const value = grantValue(manifest, capability, target);
  return JSON.stringify({ plugins: { [manifest.id]: { capabilities: { [capability]: value } } } }).slice(
    1,
    -1,
  );
}

function grantValue({ capabilities }: Manifest, capability: Capability, target: string): unknown {
  switch (capability) {
    case 'httpPrefix':
      return target;
    case 'processes':
      return true;
    case 'files':
      return [
        ...(capabilities?.files ?? []).map(({ path, write }) => ({ path, write })),
        { path: target.replace(/^\w+ /, ''), write: target.startsWith('write ') },
      ];
    default:
      return [...(capabilities?.[capability] ?? []), target];
  }
}
