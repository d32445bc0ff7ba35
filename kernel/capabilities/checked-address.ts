import { isIPv6 } from 'node:net';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { addressKind } from './addresses.ts';
import { coversHost } from './capability.ts';
import type { PluginGuard } from './guard.ts';

/** Whose rights count. */
export interface AddressRights {
  /** With the rights that were granted. */
  readonly manifest: Manifest;
  readonly guard: PluginGuard;
}

/**
 * Checks the address that a name stands for before it is connected to.
 *
 * @param target - `host:port` as the plugin wrote it.
 * @throws CAPABILITY_DENIED
 */
export function checkAddress({ manifest, guard }: AddressRights, target: string, address: string): void {
  const kind = addressKind(address);
  if (kind === 'public') return;
  const named = (manifest.capabilities?.network ?? []).filter((entry) => entry !== '*');
  const isGranted = (wanted: string): boolean => named.some((entry) => coversHost(entry, wanted));
  const end = target.lastIndexOf(':');
  const inside = `${isIPv6(address) ? `[${address}]` : address}${target.slice(end)}`;
  const isMeant = kind === 'private' || target.slice(0, end) === 'localhost';
  // An entry of the address itself always says that it is meant.
  if (isGranted(inside) || (isMeant && isGranted(target))) return;
  guard.deny('network', inside);
}
