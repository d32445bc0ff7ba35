import path from 'node:path';
import type { Capabilities, Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { Code, type ErrorType } from '../../sdk/index.ts';
import { defineKernelError } from '../kernel-error.ts';
import { allows, type Capability, type CapabilitySettings, grantedTo, grantLine } from './capability.ts';

/** A plugin reaches past its rights. */
export const CapabilityDenied: ErrorType<'plugin' | 'capability' | 'target' | 'grant'> = defineKernelError({
  reason: 'CAPABILITY_DENIED',
  code: Code.PERMISSION_DENIED,
  message: ({ plugin, capability, target, grant }) =>
    `Plugin '${plugin}' may not use '${target}' (capability ${capability}); if it should, set ${grant} in config.json, or let its plugin.json ask for it.`,
});

/** There is no right of that name. */
export const CapabilityUnknown: ErrorType<'capability'> = defineKernelError({
  reason: 'CAPABILITY_UNKNOWN',
  code: Code.INVALID_ARGUMENT,
  message: ({ capability }) =>
    `'${capability}' is no capability that is checked by name; network, files, secrets, topics, services, httpPrefix and processes are.`,
});

/** The error of something that a plugin has no right to. */
export function denial(manifest: Manifest, capability: Capability, target: string): Error {
  const shown = target.slice(0, MAX_TARGET);
  const grant = grantLine(manifest, capability, shown);
  return new CapabilityDenied({ plugin: manifest.id, capability, target: shown, grant });
}

const MAX_TARGET = 200;

/** Different targets that are kept count of for one plugin. */
const MAX_USES = 1_000;

/** Use of one thing by one plugin. */
export interface CapabilityCount {
  readonly capability: Capability;
  readonly target: string;
  used: number;
  denied: number;
  lastMs: number;
}

/** What a plugin was denied. */
export interface Denied {
  readonly pluginId: string;
  readonly capability: Capability;
  readonly target: string;
}

/** What the guard needs once the kernel runs. */
export interface GuardParts {
  /** Folder that granted paths are relative to. */
  readonly home: string;
  readonly settings: (pluginId: string) => CapabilitySettings | undefined;
  readonly clock: { now(): number };
  /** Told of every denial. */
  readonly onDenied: (denied: Denied, reason: string) => void;
}

interface Guarded {
  /** The manifest with the rights that were granted in place of those asked for. */
  readonly manifest: Manifest;
  readonly counts: Map<string, CapabilityCount>;
}

/** Holds every plugin to its rights and keeps count of what it uses. The one place where a right is decided. */
export class CapabilityGuard {
  readonly #plugins: Map<string, Guarded> = new Map();
  #parts: GuardParts | undefined;

  /** From now on the operator's settings hold. */
  open(parts: GuardParts): void {
    this.#parts = parts;
  }

  /** The rights that a plugin would have. */
  granted(manifest: Manifest): Capabilities {
    const granted = grantedTo(manifest, this.#parts?.settings(manifest.id));
    for (const file of granted.files) file.path = path.resolve(this.#parts?.home ?? '', file.path);
    return granted;
  }

  /** Takes in a version of a plugin that is about to start; returns its manifest with the rights it has. */
  admit(manifest: Manifest): Manifest {
    const granted = { ...manifest, capabilities: this.granted(manifest) };
    const counts = this.#plugins.get(manifest.id)?.counts ?? new Map<string, CapabilityCount>();
    this.#plugins.set(manifest.id, { manifest: granted, counts });
    return granted;
  }

  /** @throws CAPABILITY_DENIED, which is told to the audit too */
  require(pluginId: string, capability: Capability, target: string): void {
    const guarded = this.#guarded(pluginId);
    if (!allows(guarded.manifest, capability, target)) this.deny(pluginId, capability, target);
    this.#count(guarded, { capability, target, isAllowed: true });
  }

  /** Tells a denial that was decided elsewhere. @throws CAPABILITY_DENIED */
  deny(pluginId: string, capability: Capability, target: string): never {
    const guarded = this.#guarded(pluginId);
    this.#count(guarded, { capability, target, isAllowed: false });
    const error = denial(guarded.manifest, capability, target);
    this.#parts?.onDenied({ pluginId, capability, target }, error.message);
    throw error;
  }

  #guarded(pluginId: string): Guarded {
    const guarded = this.#plugins.get(pluginId);
    if (guarded === undefined) throw new Error(`The guard does not know plugin '${pluginId}'.`);
    return guarded;
  }

  #count(
    { counts }: Guarded,
    { capability, target, isAllowed }: { capability: Capability; target: string; isAllowed: boolean },
  ): void {
    const key = `${capability} ${target.slice(0, MAX_TARGET)}`;
    const known = counts.get(key);
    if (known === undefined && counts.size >= MAX_USES) return;
    const count = known ?? { capability, target: target.slice(0, MAX_TARGET), used: 0, denied: 0, lastMs: 0 };
    if (isAllowed) count.used += 1;
    else count.denied += 1;
    count.lastMs = this.#parts?.clock.now() ?? 0;
    counts.set(key, count);
  }

  /** What a plugin used and what it was denied since the kernel started. */
  uses(pluginId: string): CapabilityCount[] {
    return [...(this.#plugins.get(pluginId)?.counts.values() ?? [])];
  }
}

/** The rights of one plugin, as its host object sees them. */
export interface PluginGuard {
  /** @throws CAPABILITY_DENIED */
  require(capability: Capability, target: string): void;
  /** Refuses something whatever the grants say. @throws CAPABILITY_DENIED */
  deny(capability: Capability, target: string): never;
}
