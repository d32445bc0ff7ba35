import {
  type Static,
  type TObject,
  type TProperties,
  type TSchema,
  type TString,
  Type,
} from '@sinclair/typebox';

/** The schema builder of TypeBox, so that plugins need no dependency of their own for it. */
export { Type };
export type { Static, TObject, TProperties, TSchema };

/** Value type of a configuration schema. */
export type ConfigOf<Schema extends TSchema> = Static<Schema>;

/**
 * Declares a plugin's configuration: one schema is type, validator, defaults and documentation.
 *
 * @remarks Unknown keys are refused, so a misspelt option never passes silently.
 */
export function defineConfig<Properties extends TProperties>(properties: Properties): TObject<Properties> {
  return Type.Object(properties, { additionalProperties: false, default: {} });
}

/** A string option that holds the name of a secret, never its value; it is redacted in every output. */
export function secret(description: string): TString {
  return Type.String({ description, format: 'lamella-secret' });
}
