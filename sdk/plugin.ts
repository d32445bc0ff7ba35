import type { Static, TObject, TSchema } from '@sinclair/typebox';
import type { Host } from './host.ts';

/** A plugin: what `plugin.ts` exports as its default. */
export interface Plugin<Config = unknown> {
  /** Marks the export, so that the loader can tell a plugin from any other object. */
  readonly kind: 'lamella.plugin';
  /** Configuration schema; without one the plugin takes no options. */
  readonly config: TSchema | undefined;
  /** See {@link PluginDefinition.start}; the kernel has checked the configuration by then. */
  start(host: Host<Config>): void | Promise<void>;
}

/** Input of {@link definePlugin}. */
export interface PluginDefinition<Schema extends TObject> {
  /** Configuration schema made by `defineConfig`. */
  readonly config?: Schema;
  /**
   * Brings the instance up: acquire resources (`host.own`), serve services. The instance is ready when it returns.
   * There is no `stop`: owned resources are released in reverse order, and `host.signal` ends what waits.
   */
  start(host: Host<Static<Schema>>): void | Promise<void>;
}

/** Defines a plugin; the only wiring a plugin has. */
export function definePlugin<Schema extends TObject = TObject<Record<never, never>>>(
  definition: PluginDefinition<Schema>,
): Plugin<Static<Schema>> {
  return Object.freeze({
    kind: 'lamella.plugin' as const,
    config: definition.config,
    start: (host: Host<Static<Schema>>) => definition.start(host),
  });
}
