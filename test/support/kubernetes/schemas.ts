import { access, readFile } from 'node:fs/promises';
import path from 'node:path';
import { type AnySchemaObject, Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { runTool, toolCache } from '../../e2e/tool.ts';

/** Has the schemas of Kubernetes' own kinds, unknown fields refused. */
const PYTHON_PACKAGE = 'kubernetes-validate==1.37.0';
const KUBERNETES_FOLDER = 'kubernetes_validate/kubernetes-json-schema/v1.37.0-local-strict';

const KSERVE = 'github.com/kserve/kserve@v0.15.2';

/** Go modules that carry the definitions of kinds that are not Kubernetes' own. */
const DEFINITIONS: Readonly<Record<string, { readonly module: string; readonly file: string }>> = {
  ServiceMonitor: {
    module: 'github.com/prometheus-operator/prometheus-operator@v0.85.0',
    file: 'example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml',
  },
  ServingRuntime: { module: KSERVE, file: 'config/crd/full/serving.kserve.io_servingruntimes.yaml' },
  InferenceService: { module: KSERVE, file: 'config/crd/full/serving.kserve.io_inferenceservices.yaml' },
};

/** An object as it stands in a manifest. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly [field: string]: unknown;
}

/** Checks objects against the schemas that an API server has. */
export class KubernetesSchemas {
  readonly #folder: string;
  readonly #ajv: Ajv2020;
  readonly #known: Map<string, ValidateFunction> = new Map();

  private constructor(folder: string, definitions: AnySchemaObject) {
    this.#folder = folder;
    this.#ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
    this.#ajv.addSchema(definitions, '_definitions.json');
  }

  /** Installs the schemas once and opens them. */
  static async open(): Promise<KubernetesSchemas> {
    const target = await toolCache('kubernetes-schemas');
    const folder = path.join(target, KUBERNETES_FOLDER);
    const isThere = await access(folder).then(
      () => true,
      () => false,
    );
    if (!isThere) {
      const install = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--target', target, PYTHON_PACKAGE];
      await runTool('python3', install);
    }
    return new KubernetesSchemas(folder, await readSchema(path.join(folder, '_definitions.json')));
  }

  /** What is wrong with an object; empty when an API server would take it. */
  async problems(object: KubernetesObject): Promise<string[]> {
    const validate = await this.#validator(object);
    if (validate(object)) return [];
    return (validate.errors ?? []).map(
      ({ instancePath, message, params }) => `${instancePath} ${message ?? ''} ${JSON.stringify(params)}`,
    );
  }

  async #validator(object: KubernetesObject): Promise<ValidateFunction> {
    const key = `${object.apiVersion} ${object.kind}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const made = this.#ajv.compile(await this.#schemaOf(object));
    this.#known.set(key, made);
    return made;
  }

  #schemaOf({ apiVersion, kind }: KubernetesObject): Promise<AnySchemaObject> {
    const definition = DEFINITIONS[kind];
    if (definition !== undefined) return customSchema(definition, apiVersion);
    const words = apiVersion.split('/').map((word) => word.split('.')[0] ?? '');
    return readSchema(path.join(this.#folder, `${[kind.toLowerCase(), ...words].join('-')}.json`));
  }
}

/** They name each other by an address of the server, which is a file here. */
async function readSchema(file: string): Promise<AnySchemaObject> {
  const text = await readFile(file, 'utf8');
  const { $id: _address, ...schema } = JSON.parse(
    text.replaceAll('/api/_definitions.json', '_definitions.json'),
  ) as AnySchemaObject;
  return schema;
}

interface CustomDefinition {
  readonly spec: {
    readonly versions: readonly {
      readonly name: string;
      readonly schema: { readonly openAPIV3Schema: AnySchemaObject };
    }[];
  };
}

async function customSchema(
  { module, file }: { readonly module: string; readonly file: string },
  apiVersion: string,
): Promise<AnySchemaObject> {
  const folder = await toolCache('kubernetes-definitions');
  const downloaded = JSON.parse(
    await runTool('go', ['mod', 'download', '-json', module], { cwd: folder }),
  ) as {
    readonly Dir: string;
  };
  const text = await readFile(path.join(downloaded.Dir, file), 'utf8');
  const { spec } = parse(text) as CustomDefinition;
  const version = spec.versions.find(({ name }) => apiVersion.endsWith(`/${name}`));
  if (version === undefined) throw new Error(`${file} has no ${apiVersion}`);
  return closed(version.schema.openAPIV3Schema) as AnySchemaObject;
}

/** A definition prunes unknown fields in silence; here they are an error. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const inner = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  const isOpen =
    !('properties' in inner) ||
    typeof inner['type'] !== 'string' ||
    'additionalProperties' in inner ||
    inner['x-kubernetes-preserve-unknown-fields'] === true;
  // apiVersion, kind and metadata are the server's.
  return isOpen ? inner : { ...inner, additionalProperties: false };
}
