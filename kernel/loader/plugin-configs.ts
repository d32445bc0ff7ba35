import { isDeepStrictEqual } from 'node:util';
import type { JsonObject } from '@bufbuild/protobuf';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { Logger, Storage } from '../../sdk/index.ts';
import { migrateConfig } from '../registry/config-migration.ts';
import { PluginConfigInvalid } from '../registry/errors.ts';
import { validateConfig } from '../registry/manifest.ts';
import { ConfigMigrationFailed } from './errors.ts';

/** Topic on which the kernel tells that a configuration was migrated. */
const CONFIG_TOPIC = 'kernel.plugin.config';

/** What the kernel remembers of a plugin's configuration. */
interface KeptConfig {
  /** As it stands in `config.json`. */
  readonly original: unknown;
  /** Version of the plugin that took it as it stands. */
  readonly version: string;
  /** What was made of it for a later version. */
  readonly migrated?: { readonly version: string; readonly config: JsonObject };
}

/** A configuration that fits a version. */
export interface ResolvedConfig {
  /** With defaults filled in. */
  readonly config: JsonObject;
  /** Version that the original was written for. */
  readonly writtenFor: string;
  /** What the migrations made of it, where there were any. */
  readonly migrated: JsonObject | undefined;
}

/** Input of {@link PluginConfigs}. */
export interface PluginConfigsParts {
  readonly storage: Storage;
  readonly log: Logger;
  /** What the operator set of a plugin. */
  readonly settings: (pluginId: string) => PluginConfigSettings | undefined;
  readonly publish: (topic: string, payload: unknown) => void;
}

/** The part of a plugin's settings that is looked at here. */
export interface PluginConfigSettings {
  readonly config?: unknown;
  readonly configVersion?: string;
}

/**
 * Makes the configuration of a version out of what the operator wrote, perhaps for an older one.
 *
 * @remarks `config.json` is never changed. Which version its text was written for is known from the version that first
 * ran with it; a text that was changed since is taken to be for the version that starts.
 */
export class PluginConfigs {
  readonly #parts: PluginConfigsParts;

  constructor(parts: PluginConfigsParts) {
    this.#parts = parts;
  }

  /** @throws PLUGIN_CONFIG_INVALID, CONFIG_MIGRATION_FAILED */
  async resolve(manifest: Manifest): Promise<ResolvedConfig> {
    const { config: original = {}, configVersion } = this.#parts.settings(manifest.id) ?? {};
    const kept = await this.#kept(manifest.id);
    const isKnown = kept !== undefined && isDeepStrictEqual(kept.original, original);
    if (configVersion !== undefined) return migrated(manifest, original, configVersion);
    if (isKnown) return migrated(manifest, original, kept.version);
    try {
      return migrated(manifest, original, manifest.version);
    } catch (error) {
      // It was changed and still reads as the older version's.
      if (kept === undefined) throw error;
      return migrated(manifest, original, kept.version);
    }
  }

  /** A version has started with its configuration: it is remembered, and a migration is told. */
  async accept(manifest: Manifest, { writtenFor, migrated: config }: ResolvedConfig): Promise<void> {
    const { id, version } = manifest;
    const original = this.#parts.settings(id)?.config ?? {};
    const before = await this.#kept(id);
    const next: KeptConfig = {
      original,
      version: writtenFor,
      ...(config === undefined ? {} : { migrated: { version, config } }),
    };
    if (isDeepStrictEqual(before, next)) return;
    await this.#parts.storage.put(`config/${id}`, next);
    if (config === undefined) return;
    const change = {
      id,
      from: writtenFor,
      to: version,
      options: changedOptions(original as JsonObject, config),
    };
    this.#parts.publish(CONFIG_TOPIC, change);
    this.#parts.log.info('a configuration was migrated; config.json still has the old one', change);
  }

  async #kept(id: string): Promise<KeptConfig | undefined> {
    return this.#parts.storage.get<KeptConfig>(`config/${id}`);
  }
}

function migrated(manifest: Manifest, original: unknown, writtenFor: string): ResolvedConfig {
  const { id, version } = manifest;
  if (!isObject(original))
    return { config: validateConfig(manifest, original), writtenFor, migrated: undefined };
  try {
    const value = writtenFor === version ? original : migrateConfig(manifest, original, writtenFor);
    const isSame = isDeepStrictEqual(value, original);
    return { config: validateConfig(manifest, value), writtenFor, migrated: isSame ? undefined : value };
  } catch (cause) {
    if (writtenFor === version) throw cause;
    const { message } = cause as Error;
    const problems = cause instanceof PluginConfigInvalid ? (cause.metadata['problems'] ?? message) : message;
    throw new ConfigMigrationFailed({ plugin: id, from: writtenFor, to: version, problems }, { cause });
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Names of the options that are not as they were; values may be nobody's business. */
function changedOptions(before: JsonObject, after: JsonObject): string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].filter((name) => !isDeepStrictEqual(before[name], after[name]));
}
