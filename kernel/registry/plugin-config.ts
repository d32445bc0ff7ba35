import type { JsonObject } from '@bufbuild/protobuf';
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { PluginConfigInvalid } from './errors.ts';
import { nearestName } from './nearest-name.ts';

/** Schema of a plugin that takes no options. */
const NO_OPTIONS: JsonObject = { type: 'object', additionalProperties: false };

/** What is wrong with a JSON Schema of a manifest, if anything. */
export function configSchemaProblem(schema: JsonObject, where: string = 'config'): string[] {
  try {
    compile(schema);
    return [];
  } catch (error) {
    return [`${where} is not a JSON Schema (${(error as Error).message}).`];
  }
}

/**
 * Fills in defaults and checks a plugin's configuration against the schema in its manifest. The value given is not
 * changed.
 *
 * @throws PLUGIN_CONFIG_INVALID names every option that is wrong.
 */
export function validateConfig(manifest: Manifest, value: unknown): JsonObject {
  const config: unknown = structuredClone(value ?? {});
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    throw new PluginConfigInvalid({ plugin: manifest.id, problems: 'it must be an object of options' });
  }
  // Most plugins have neither options nor anything to check, and the compiler is dear.
  if (manifest.config === undefined && Object.keys(config).length === 0) return {};
  const schema = manifest.config ?? NO_OPTIONS;
  const validate = compile(schema);
  if (validate(config)) return config as JsonObject;
  throw new PluginConfigInvalid({ plugin: manifest.id, problems: problemsOf(validate, schema) });
}

function problemsOf({ errors }: ValidateFunction, schema: JsonObject): string {
  const known = Object.keys((schema['properties'] ?? {}) as JsonObject);
  return (errors ?? []).map((error) => describe(error, known)).join('; ');
}

function describe({ instancePath, message, params }: ErrorObject, known: readonly string[]): string {
  const option =
    instancePath === '' ? 'the configuration' : `'${instancePath.slice(1).replaceAll('/', '.')}'`;
  const extra: unknown = params['additionalProperty'];
  if (typeof extra === 'string') {
    const nearest = instancePath === '' ? nearestName(extra, known) : undefined;
    return `${option} has no option '${extra}'${nearest === undefined ? '' : `, perhaps '${nearest}' is meant`}`;
  }
  const allowed: unknown = params['allowedValues'];
  const list = Array.isArray(allowed) ? `: ${allowed.join(', ')}` : '';
  return `${option} ${message ?? 'is wrong'}${list}`;
}

/**
 * Checks schemas, against the schema of schemas. It is compiled once: that takes 50 ms of processor time, for every
 * plugin if each had its own. What it has checked it forgets.
 */
let checker: Ajv | undefined;

/**
 * Compiles one schema, in a compiler that is thrown away: Ajv keeps every schema that it compiled, and plugins come and
 * go.
 *
 * @throws Error when it is no schema.
 */
function compile(schema: JsonObject): ValidateFunction {
  checker ??= new Ajv({ strict: false });
  void checker.validateSchema(schema, true);
  const ajv = new Ajv({
    useDefaults: true,
    allErrors: true,
    strict: false,
    meta: false,
    validateSchema: false,
    code: { optimize: false },
  });
  ajv.addFormat('lamella-secret', true);
  return ajv.compile(schema);
}
