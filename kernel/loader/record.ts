import type { DescService } from '@bufbuild/protobuf';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { PluginState } from '../registry/state.ts';
import type { Instance } from './instance.ts';
import type { Slot } from './slot.ts';

/** Everything the kernel knows of one plugin. Changed by the loader only. */
export interface PluginRecord {
  readonly id: string;
  readonly directory: string;
  readonly slot: Slot;
  manifest: Manifest;
  state: PluginState;
  /** Why it is in this state; empty when there is nothing to say. */
  reason: string;
  restarts: number;
  updatedMs: number;
  /** Descriptors of what the active instance serves. */
  services: readonly DescService[];
  /** Instances that no longer get calls and still finish some. */
  readonly draining: Set<Instance>;
  /** Times of the last crashes, in milliseconds since the epoch. */
  crashesMs: number[];
  /** Changes of one plugin happen one after another; this is the end of the queue. */
  pending: Promise<unknown>;
}
