import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { isExclusive } from '../registry/exclusive.ts';
import { queueOf } from './loads.ts';
import { Slot, type SlotLimits } from './slot.ts';
import { drainLimitMs, startLimitMs } from './time-limits.ts';

/** Longest wait of a call for a plugin that is not ready, in milliseconds. */
const PARKED_MS = 10_000;

/** A slot with the limits of a plugin's manifest. */
export function slotFor(manifest: Manifest): Slot {
  return new Slot(manifest.id, slotLimits(manifest));
}

/** Calls wait for the whole replacement of an exclusive plugin: the old version's last call and the new one's start. */
export function slotLimits(manifest: Manifest): SlotLimits {
  const replacementMs = isExclusive(manifest) ? drainLimitMs(manifest) + startLimitMs(manifest) : 0;
  return { parked: queueOf(manifest), parkedMs: Math.max(PARKED_MS, replacementMs) };
}
