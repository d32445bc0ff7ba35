import type { HostService } from '../../proto/gen/lamella/kernel/v1/host_service_pb.ts';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { Client } from '../../sdk/index.ts';
import { allows, type Capability } from '../capabilities/capability.ts';
import { denial, type PluginGuard } from '../capabilities/guard.ts';

/** The rights of a plugin outside the kernel's thread: decided here, since the host object cannot wait, and told there. */
export class KernelGuard implements PluginGuard {
  readonly #manifest: Manifest;
  readonly #kernel: Client<typeof HostService>;

  /** @param manifest - With the rights that were granted. */
  constructor(manifest: Manifest, kernel: Client<typeof HostService>) {
    this.#manifest = manifest;
    this.#kernel = kernel;
  }

  require(capability: Capability, target: string): void {
    if (!allows(this.#manifest, capability, target)) this.deny(capability, target);
    // The kernel counts calls, topics and secrets itself when it sees them; what goes to the network it never sees.
    if (capability === 'network') this.#tell(capability, target, false);
  }

  deny(capability: Capability, target: string): never {
    this.#tell(capability, target, true);
    throw denial(this.#manifest, capability, target);
  }

  #tell(capability: Capability, target: string, denied: boolean): void {
    // It answers a denial with the error that is thrown here anyway.
    this.#kernel.checkCapability({ capability, target, denied }).catch(() => undefined);
  }
}
