import type { HostService } from '../../proto/gen/lamella/kernel/v1/host_service_pb.ts';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { type Client, isDeclaredError, type Secrets } from '../../sdk/index.ts';
import type { PluginGuard } from '../capabilities/guard.ts';
import { SecretMissing } from '../errors.ts';

/** Granted secrets of a plugin process, fetched once from the kernel so that reading them needs no waiting. */
export class KernelSecrets implements Secrets {
  readonly #guard: PluginGuard;
  readonly #pluginId: string;
  readonly #values: ReadonlyMap<string, string>;

  private constructor(pluginId: string, values: ReadonlyMap<string, string>, guard: PluginGuard) {
    this.#guard = guard;
    this.#pluginId = pluginId;
    this.#values = values;
  }

  static async load(
    kernel: Client<typeof HostService>,
    manifest: Manifest,
    guard: PluginGuard,
  ): Promise<KernelSecrets> {
    const names = manifest.capabilities?.secrets ?? [];
    const values = new Map<string, string>();
    await Promise.all(
      names.map(async (name) => {
        try {
          values.set(name, (await kernel.getSecret({ name })).value);
        } catch (error) {
          // As inline, a secret that is missing is missed by whoever reads it.
          if (!isDeclaredError(error) || error.reason !== SecretMissing.definition.reason) throw error;
        }
      }),
    );
    return new KernelSecrets(manifest.id, values, guard);
  }

  get(name: string): string {
    this.#guard.require('secrets', name);
    const value = this.#values.get(name);
    if (value === undefined) throw new SecretMissing({ plugin: this.#pluginId, secret: name });
    return value;
  }
}
