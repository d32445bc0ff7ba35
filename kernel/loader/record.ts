import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { PluginState } from '../registry/state.ts';
import type { Generation } from './generation.ts';
import type { IsolationName } from './instance.ts';
import type { Slot } from './slot.ts';

/** Everything the kernel knows of one plugin. Changed by the loader only. */
export interface PluginRecord {
  readonly id: string;
  readonly slot: Slot;
  /** Manifest of the version that is, or shall be, in service. */
  manifest: Manifest;
  /** Folder that version comes from. */
  directory: string;
  /** Level of isolation that was asked for with that version; `undefined` means what configuration and manifest say. */
  level: IsolationName | undefined;
  /** SHA-256 of the code of that version, once it has run: a restart runs the same. */
  digest: string | undefined;
  /** Folder that was loaded last; a rollback does not change it. */
  asked: string;
  /** SHA-256 of code that a rollback took out of service. */
  setAside: string | undefined;
  state: PluginState;
  /** Why it is in this state; empty when there is nothing to say. */
  reason: string;
  /** Set while it is unloaded: nobody new may count on it. */
  isUnloading: boolean;
  /** Why it is not started again by itself; `undefined` while it may be. */
  givenUp: string | undefined;
  restarts: number;
  updatedMs: number;
  /** Started so far; each gets the next number. */
  generations: number;
  /** What gets the calls. */
  active: Generation | undefined;
  /** What gets a share of them, on trial. */
  canary: Generation | undefined;
  /** What was in service before and can be called back. */
  standby: Generation | undefined;
  /**
   * Everything on its way out, `standby` among it. An array, since the old tables of a Set would keep every version that
   * ever left until the next full collection.
   */
  leaving: readonly Generation[];
  /** Times of the last crashes, in milliseconds since the epoch. */
  crashesMs: number[];
}
