/** Where a value comes from; each one wins over those before it. */
export type Origin = 'default' | 'file' | 'environment' | 'flag';

/** One value of the configuration. */
export interface Setting {
  /** Path of the option, for example `plugins.data.store.config.mapSizeMib`. */
  readonly name: string;
  readonly value: unknown;
  readonly origin: Origin;
}

/**
 * The values in a configuration whose defaults were filled in, each with its origin.
 *
 * @param written - What stood in the file, before defaults.
 */
export function settingsOf(name: string, filled: unknown, written: unknown): Setting[] {
  if (!isObject(filled) || Object.keys(filled).length === 0) {
    return [{ name, value: filled, origin: written === undefined ? 'default' : 'file' }];
  }
  const inside = isObject(written) ? written : {};
  return Object.entries(filled).flatMap(([key, value]) =>
    settingsOf(
      name === '' ? key : `${name}.${key}`,
      value,
      Object.hasOwn(inside, key) ? inside[key] : undefined,
    ),
  );
}

/** Tells a plain object from a list or a value. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
