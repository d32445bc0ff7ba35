import { clone, create } from '@bufbuild/protobuf';
import {
  type Capabilities,
  CapabilitiesSchema,
  type Manifest,
} from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { type TSchema, Type } from '../../sdk/index.ts';
import { coversTopic } from '../topics/topic.ts';

/** Rights that are checked by name; the names are those of the manifest. */
export type Capability = 'network' | 'secrets' | 'topics' | 'services' | 'httpPrefix';

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
}

const list = (description: string): TSchema => Type.Optional(Type.Array(Type.String(), { description }));

/** Schema of `plugins.<id>.capabilities`. */
export const CapabilitySettingsSchema: TSchema = Type.Object(
  {
    network: list('Hosts that `host.fetch` reaches: `host`, `host:port`, or `*` for any public host.'),
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
  granted.network = [...(settings.network ?? granted.network)];
  granted.secrets = [...(settings.secrets ?? granted.secrets)];
  granted.topics = [...(settings.topics ?? granted.topics)];
  granted.services = [...(settings.services ?? granted.services)];
  granted.gpu = settings.gpu ?? granted.gpu;
  granted.httpPrefix = settings.httpPrefix ?? granted.httpPrefix;
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

/** The line of config.json that grants one thing more. */
export function grantLine(manifest: Manifest, capability: Capability, target: string): string {
  const present = capability === 'httpPrefix' ? [] : (manifest.capabilities?.[capability] ?? []);
  const value = capability === 'httpPrefix' ? target : [...present, target];
  return JSON.stringify({ plugins: { [manifest.id]: { capabilities: { [capability]: value } } } }).slice(
    1,
    -1,
  );
}
