/** Why a plugin cannot be loaded. */
export type ResolutionReason =
  | 'MISSING_SERVICE'
  | 'VERSION_MISMATCH'
  | 'DEPENDENCY_CYCLE'
  | 'DEPENDENCY_FAILED'
  | 'LAYER_VIOLATION'
  | 'DUPLICATE_PLUGIN'
  | 'DUPLICATE_PROVIDER'
  | 'EXCLUSIVE_RESOURCE'
  | 'KERNEL_VERSION';

/** One thing that keeps a plugin from being loaded. */
export interface ResolutionFailure {
  readonly pluginId: string;
  readonly reason: ResolutionReason;
  readonly message: string;
  /** What the author or operator can do about it. */
  readonly repair: string;
}
