import type { IsolationName } from './instance.ts';

/** How a version is put into service. */
export interface LoadOptions {
  /** Share of the calls that it gets at first, in percent; 0 means all of them at once. */
  readonly canaryPercent?: number;
  /** Level of isolation; absent means the one the plugin has, or else what configuration and manifest say. */
  readonly isolation?: IsolationName | undefined;
}

/** Tells whether a version gets a share of the calls only. */
export function isCanary(options: LoadOptions): options is { readonly canaryPercent: number } {
  const { canaryPercent = 0 } = options;
  return canaryPercent > 0 && canaryPercent < 100;
}
