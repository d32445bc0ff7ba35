import type { Capabilities, Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { listRights } from '../capabilities/rights.ts';
import { isLazy } from '../registry/activation.ts';
import { isExclusive } from '../registry/exclusive.ts';
import type { IsolationName } from './instance.ts';
import { isCanary, type LoadOptions } from './load-options.ts';
import type { PluginRecord } from './record.ts';

/** What is known of a version before any of its code runs. */
export interface Preview {
  readonly level: IsolationName;
  /** Version whose configuration would be migrated; `undefined` when it fits as it is. */
  readonly migratesFrom: string | undefined;
  readonly granted: Capabilities;
}

/** What a load would do. */
export interface LoadPlan {
  readonly manifest: Manifest;
  readonly level: IsolationName;
  /** In their order, for people. */
  readonly steps: readonly string[];
}

/** What {@link planLoad} goes by. */
export interface LoadPlanParts {
  readonly manifest: Manifest;
  readonly preview: Preview;
  /** The plugin as it is loaded now. */
  readonly record: PluginRecord | undefined;
  readonly options: LoadOptions;
  readonly rollbackWindowMs: number;
}

/** Tells what a load would do, without doing any of it. */
export function planLoad(parts: LoadPlanParts): LoadPlan {
  const { manifest, preview, record } = parts;
  const active = record?.active;
  const steps = [
    ...rightSteps(manifest, preview.granted),
    ...configurationSteps(manifest, preview),
    ...(active === undefined ? firstSteps(parts) : upgradeSteps(parts, active.manifest)),
    ...serviceSteps(manifest, active?.manifest),
    'load it again at each start of the kernel',
  ];
  return { manifest, level: preview.level, steps };
}

function firstSteps({ manifest, preview }: LoadPlanParts): string[] {
  const { id, version, activationTopics } = manifest;
  const where = `${id} ${version} at isolation ${preview.level}`;
  if (!isLazy(manifest)) return [`start ${where}`];
  const trigger = ['its first call', ...activationTopics.map((topic) => `an event on ${topic}`)].join(' or ');
  return [`let ${id} ${version} wait; ${trigger} starts it at isolation ${preview.level}`];
}

function upgradeSteps(
  { manifest, preview, options, rollbackWindowMs }: LoadPlanParts,
  old: Manifest,
): string[] {
  const [next, before] = [manifest.version, old.version === manifest.version ? 'the old one' : old.version];
  const start = `start ${manifest.id} ${next} at isolation ${preview.level}`;
  if (isExclusive(manifest) || isExclusive(old)) {
    return [`let ${before} finish its calls and stop, while new calls wait`, start, 'let the calls go on'];
  }
  if (isCanary(options)) {
    const rest = `${before} keeps the others until 'lamella plugin promote ${manifest.id}'`;
    return [`${start} beside ${before}`, `give it ${options.canaryPercent} % of the calls; ${rest}`];
  }
  return [
    `${start} beside ${before}, which serves on until then`,
    `give it all new calls; ${before} finishes those it has`,
    `keep ${before} for a rollback for ${rollbackWindowMs / 1_000} s`,
  ];
}

function configurationSteps({ version }: Manifest, { migratesFrom }: Preview): string[] {
  if (migratesFrom === undefined) return [];
  return [`migrate the configuration from version ${migratesFrom} to ${version}; config.json stays as it is`];
}

function serviceSteps(manifest: Manifest, old: Manifest | undefined): string[] {
  const [next, before] = [namesOf(manifest), namesOf(old)];
  const [added, gone] = [without(next, before), without(before, next)];
  return [
    ...(added.length === 0 ? [] : [`serve ${added.join(', ')}`]),
    ...(gone.length === 0 ? [] : [`serve no longer ${gone.join(', ')}`]),
  ];
}

function namesOf(manifest: Manifest | undefined): string[] {
  return (manifest?.provides ?? []).map(({ service, extension }) =>
    extension === '' ? service : `${service} (extension ${extension})`,
  );
}

function rightSteps({ capabilities }: Manifest, granted: Capabilities): string[] {
  const given = rightsOf(granted);
  const refused = without(rightsOf(capabilities), given);
  return [
    ...(given.length === 0 ? [] : [`grant ${given.join(', ')}`]),
    ...(refused.length === 0 ? [] : [`refuse, as config.json says, ${refused.join(', ')}`]),
  ];
}

function rightsOf(capabilities: Capabilities | undefined): string[] {
  return Object.entries(listRights(capabilities)).flatMap(([right, targets]) =>
    targets.map((target) => `${right} ${target}`),
  );
}

function without(names: readonly string[], others: readonly string[]): string[] {
  return names.filter((name) => !others.includes(name));
}
