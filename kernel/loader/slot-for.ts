import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { queueOf } from './loads.ts';
import { Slot } from './slot.ts';

/** Longest wait of a call for a plugin that is not ready, in milliseconds. */
const PARKED_MS = 10_000;

/** A slot with the limits of a plugin's manifest. */
export function slotFor(manifest: Manifest): Slot {
  return new Slot(manifest.id, { parked: queueOf(manifest), parkedMs: PARKED_MS });
}
