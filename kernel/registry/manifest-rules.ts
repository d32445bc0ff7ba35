import path from 'node:path';
import semver from 'semver';
import { IsolationLevel, type Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { isTopicName, KERNEL_TOPIC_PREFIX } from '../topics/topic.ts';
import { activationProblems } from './activation.ts';
import { migrationProblems } from './config-migration.ts';
import { configSchemaProblem } from './plugin-config.ts';

const PLUGIN_ID = /^[a-z][a-z0-9-]*(?:\.[a-z][a-z0-9-]*)+$/;
const SERVICE_NAME = /^[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+$/;
const EXTENSION = /^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$/;
const HTTP_PREFIX = /^\/(?:[\w.-]+(?:\/[\w.-]+)*)?$/;
const ADDRESS = /^(?:[\w.-]+|\[[0-9a-f:.]+\]):\d{1,5}$/i;

const RESOURCE_NAME = /^[a-z][a-z0-9-]{0,31}:[^\s\p{Cc}]{1,200}$/u;

/** Longest id; it becomes a folder's name and a part of a metric's. */
const ID_LIMIT = 128;

type Rule = (manifest: Manifest) => string[];

/** Everything about a decoded manifest that its message type cannot say; all problems at once. */
export function ruleProblems(manifest: Manifest): string[] {
  return RULES.flatMap((rule) => rule(manifest));
}

const RULES: readonly Rule[] = [
  checkIdentity,
  checkEntry,
  checkIsolation,
  checkProvisions,
  checkRequirements,
  checkCapabilities,
  checkTopics,
  ({ protos }) => protos.flatMap((file) => insideProblem('protos', file)),
  ({ files }) => files.flatMap((file) => insideProblem('files', file)),
  checkExclusive,
  activationProblems,
  migrationProblems,
  ({ config }) => (config === undefined ? [] : configSchemaProblem(config)),
];

function unless(isRight: boolean, problem: string): string[] {
  return isRight ? [] : [problem];
}

function isRange(range: string): boolean {
  return range === '' || semver.validRange(range) !== null;
}

function checkIdentity({ id, version, kernel }: Manifest): string[] {
  return [
    ...unless(
      PLUGIN_ID.test(id) && id.length <= ID_LIMIT,
      `id '${id}' must be <layer>.<name> in lower case, like 'data.store'.`,
    ),
    ...unless(
      semver.valid(version) === version,
      `version '${version}' must be a semantic version, like '0.1.0'.`,
    ),
    ...unless(isRange(kernel), `kernel '${kernel}' must be a range of versions, like '^0.1.0'.`),
  ];
}

function checkEntry({ entry }: Manifest): string[] {
  const { module = '', command = [], addresses = [] } = entry ?? {};
  const ways = [module !== '', command.length > 0, addresses.length > 0].filter(Boolean).length;
  return [
    ...unless(ways === 1, 'entry must have exactly one of module, command and addresses.'),
    ...(module === '' ? [] : insideProblem('entry.module', module)),
    ...unless(command[0] !== '', 'entry.command must begin with the name of a program.'),
    ...(command[0]?.startsWith('.') === true ? insideProblem('entry.command', command[0]) : []),
    ...addresses.flatMap((address) =>
      unless(ADDRESS.test(address), `entry.addresses: '${address}' must be host:port, like '10.0.0.7:8001'.`),
    ),
  ];
}

/** Isolation levels that make sense for each way to start. */
function fittingLevels({ entry }: Manifest): readonly IsolationLevel[] {
  if ((entry?.command.length ?? 0) > 0) return [IsolationLevel.PROCESS];
  if ((entry?.addresses.length ?? 0) > 0) return [IsolationLevel.REMOTE];
  return [IsolationLevel.INLINE, IsolationLevel.WORKER, IsolationLevel.PROCESS];
}

function levelName(level: IsolationLevel): string {
  return Object.entries(IsolationLevel).find(([, number]) => number === level)?.[0] ?? String(level);
}

function checkIsolation(manifest: Manifest): string[] {
  const preferred = manifest.isolation?.preferred ?? IsolationLevel.ISOLATION_LEVEL_UNSPECIFIED;
  const allowed = manifest.isolation?.allowed ?? [];
  if (preferred === IsolationLevel.ISOLATION_LEVEL_UNSPECIFIED) {
    return ['isolation.preferred must be INLINE, WORKER, PROCESS or REMOTE.'];
  }
  const fitting = fittingLevels(manifest);
  // Any plugin may be allowed to run elsewhere: the operator's configuration then says where.
  const operated = allowed.filter((level) => level !== IsolationLevel.REMOTE || preferred === level);
  const misfits = [...new Set([preferred, ...operated])].filter((level) => !fitting.includes(level));
  return [
    ...unless(
      allowed.length === 0 || allowed.includes(preferred),
      `isolation.preferred ${levelName(preferred)} must be one of isolation.allowed.`,
    ),
    ...unless(
      manifest.externals.length === 0 || ![preferred, ...allowed].includes(IsolationLevel.WORKER),
      `isolation WORKER does not go with externals (${manifest.externals.join(', ')}): a thread that runs native code cannot be ended without ending the kernel; use PROCESS.`,
    ),
    ...misfits.map(
      (level) =>
        `isolation ${levelName(level)} does not go with this entry; ${fitting.map(levelName).join(', ')} would.`,
    ),
  ];
}

function serviceProblem(where: string, service: string): string[] {
  return unless(
    SERVICE_NAME.test(service),
    `${where} '${service}' must be a full proto name, like 'lamella.data.v1.StoreService'.`,
  );
}

function extensionProblem(where: string, extension: string): string[] {
  return unless(
    extension === '' || EXTENSION.test(extension),
    `${where} '${extension}' must be a name in lower case, like 'lmdb'.`,
  );
}

function checkProvisions({ provides }: Manifest): string[] {
  const seen = new Set<string>();
  return provides.flatMap(({ service, extension }) => {
    const key = `${service} ${extension}`;
    const isNew = !seen.has(key);
    seen.add(key);
    return [
      ...serviceProblem('provides: service', service),
      ...extensionProblem('provides: extension', extension),
      ...unless(isNew, `provides names ${key.trim()} twice.`),
    ];
  });
}

function checkRequirements({ requires }: Manifest): string[] {
  return requires.flatMap(({ service, version, extension }) => [
    ...serviceProblem('requires: service', service),
    ...extensionProblem('requires: extension', extension),
    ...unless(
      isRange(version),
      `requires: version '${version}' of ${service} must be a range, like '^0.1.0'.`,
    ),
  ]);
}

function checkCapabilities({ capabilities }: Manifest): string[] {
  if (capabilities === undefined) return [];
  const { httpPrefix, services, files } = capabilities;
  return [
    ...unless(
      httpPrefix === '' || HTTP_PREFIX.test(httpPrefix),
      `capabilities.httpPrefix '${httpPrefix}' must start with '/' and not end with it, like '/v2'.`,
    ),
    ...services
      .filter((service) => service !== '*')
      .flatMap((service) => serviceProblem('capabilities.services:', service)),
    ...unless(
      files.every((file) => file.path !== ''),
      'capabilities.files: each entry needs a path.',
    ),
  ];
}

function checkTopics({ topics }: Manifest): string[] {
  const names = topics.map(({ name }) => name);
  return topics.flatMap(({ name, schema, message }, index) => [
    ...unless(
      isTopicName(name) && !name.startsWith(KERNEL_TOPIC_PREFIX),
      `topics: '${name}' must be words in lower case with dots, like 'feedback.recorded', and not begin with 'kernel.'.`,
    ),
    ...unless(names.indexOf(name) === index, `topics names '${name}' twice.`),
    ...unless(
      schema === undefined || message === '',
      `topics: '${name}' must have schema or message, not both.`,
    ),
    ...unless(
      message === '' || SERVICE_NAME.test(message),
      `topics: message '${message}' must be a full proto name.`,
    ),
    ...(schema === undefined ? [] : configSchemaProblem(schema, `topics: schema of '${name}'`)),
  ]);
}

function checkExclusive({ exclusiveResources }: Manifest): string[] {
  return exclusiveResources.flatMap((resource, index) => [
    ...unless(
      RESOURCE_NAME.test(resource),
      `exclusiveResources: '${resource.slice(0, 100)}' must be <kind>:<name>, like 'port:5140'.`,
    ),
    ...unless(
      exclusiveResources.indexOf(resource) === index,
      `exclusiveResources names '${resource.slice(0, 100)}' twice.`,
    ),
  ]);
}

function insideProblem(where: string, file: string): string[] {
  const normal = path.posix.normalize(file.replaceAll('\\', '/'));
  const leaves =
    normal === '..' || normal.startsWith('../') || normal.startsWith('/') || /^[a-z]:/i.test(normal);
  return unless(
    !leaves && !file.includes('\0'),
    `${where} '${file}' is outside the plugin's folder; move the file into it and give its relative path.`,
  );
}
