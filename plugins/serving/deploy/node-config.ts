import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import type { DeploymentPlan } from './target.ts';

/** Ports of a node; Triton's. */
export const PORTS = { grpc: 8001, http: 8000, metrics: 8002 } as const;

/** Where the models are in an image, in Triton's layout. */
export const IMAGE_MODELS = '/models';

/** Where a node finds its models, and who calls it. */
export interface NodeSurroundings {
  /** Folder of the models in Triton's layout. */
  readonly models: string;
  /** True in a cluster, where sidecars say who calls. */
  readonly isMesh: boolean;
}

/**
 * The `config.json` of a node that serves one model from a folder.
 *
 * @remarks Without an `access` of its own the spec admits the mesh peers of its namespace: a node that others can reach
 * does not start when nobody could prove who he is.
 */
export function nodeConfig({ spec, model }: DeploymentPlan, { models, isMesh }: NodeSurroundings): string {
  const access = spec.access ?? (isMesh ? meshAccess(spec.namespace) : {});
  const config: JsonObject = {
    access: { ...access, roles: { none: openRules(model), ...objectOf(access['roles']) } },
    plugins: {
      'serving.infer': {
        config: { ...spec.inference, modelRepositories: [models], modelControlMode: 'none' },
      },
    },
  };
  return `${JSON.stringify(config, undefined, 2)}\n`;
}

function objectOf(value: JsonValue | undefined): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
}

/** Callers with a SPIFFE id of the namespace; the address is that of Istio's sidecar. */
function meshAccess(namespace: string): JsonObject {
  return { peers: { [`spiffe://cluster.local/ns/${namespace}/*`]: ['user'] }, sidecars: ['127.0.0.6/32'] };
}

/** What probes and Prometheus may ask without credentials. */
function openRules(model: string): string[] {
  return [
    'grpc.health.v1.Health/*',
    'http:GET /healthz/*',
    'http:HEAD /healthz/*',
    'http:GET /metrics',
    `http:GET /v2/models/${model}/ready`,
  ];
}
