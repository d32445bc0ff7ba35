import { NameInvalid } from './errors.ts';

const MODEL = '[a-z0-9_.-]{1,63}';
const MODEL_ID = new RegExp(`^${MODEL}$`);
const MODEL_NAME = new RegExp(`^models/(${MODEL})$`);
const VERSION_NAME = new RegExp(`^models/(${MODEL})/versions/(latest|[1-9][0-9]{0,14})$`);
const ALIAS_NAME = new RegExp(`^models/(${MODEL})/aliases/([a-z0-9_-]{1,63})$`);

/** A model and which of its versions is meant. */
export interface VersionReference {
  readonly model: string;
  readonly target:
    | { readonly kind: 'number'; readonly version: number }
    | { readonly kind: 'latest' }
    | { readonly kind: 'alias'; readonly alias: string };
}

/** A model and one of its aliases. */
export interface AliasReference {
  readonly model: string;
  readonly alias: string;
}

/** Checks a model id. @throws NAME_INVALID */
export function parseModelId(id: string): string {
  if (!MODEL_ID.test(id) || isDots(id)) {
    throw new NameInvalid({ name: shown(id), form: "1 to 63 lower-case letters, digits, '-', '_' and '.'" });
  }
  return id;
}

/** Reads `models/{model}`. @throws NAME_INVALID */
export function parseModelName(name: string): string {
  const model = MODEL_NAME.exec(name)?.[1];
  if (model === undefined || isDots(model)) {
    throw new NameInvalid({ name: shown(name), form: 'models/{model}' });
  }
  return model;
}

/** Reads the name of a version, an alias, or `latest`. @throws NAME_INVALID */
export function parseVersionReference(name: string): VersionReference {
  const [, model, version] = VERSION_NAME.exec(name) ?? [];
  if (model !== undefined && version !== undefined) {
    const target =
      version === 'latest'
        ? ({ kind: 'latest' } as const)
        : ({ kind: 'number', version: Number(version) } as const);
    return { model, target };
  }
  const [, aliasModel, alias] = ALIAS_NAME.exec(name) ?? [];
  if (aliasModel !== undefined && alias !== undefined) {
    return { model: aliasModel, target: { kind: 'alias', alias } };
  }
  throw new NameInvalid({
    name: shown(name),
    form: 'models/{model}/versions/{version} or models/{model}/aliases/{alias}',
  });
}

/** Reads the name of a version with its number. @throws NAME_INVALID */
export function parseVersionName(name: string): { readonly model: string; readonly version: number } {
  const [, model, version] = VERSION_NAME.exec(name) ?? [];
  if (model === undefined || version === undefined || version === 'latest') {
    throw new NameInvalid({ name: shown(name), form: 'models/{model}/versions/{version} with a number' });
  }
  return { model, version: Number(version) };
}

/** Reads `models/{model}/aliases/{alias}`. @throws NAME_INVALID */
export function parseAliasName(name: string): AliasReference {
  const [, model, alias] = ALIAS_NAME.exec(name) ?? [];
  // A number or `latest` as an alias could be taken for a version.
  if (model === undefined || alias === undefined || /^[0-9]+$/.test(alias) || alias === 'latest') {
    throw new NameInvalid({
      name: shown(name),
      form: "models/{model}/aliases/{alias}, the alias in lower-case letters, digits, '-', '_', not a number",
    });
  }
  return { model, alias };
}

/** Writes the name of a version. */
export function versionName(model: string, version: number | bigint): string {
  return `models/${model}/versions/${version}`;
}

function isDots(id: string): boolean {
  return id === '.' || id === '..';
}

function shown(name: string): string {
  return name.length > 200 ? `${name.slice(0, 200)}…` : name;
}
