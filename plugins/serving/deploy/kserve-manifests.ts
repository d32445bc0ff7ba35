import type { JsonObject } from '@bufbuild/protobuf';
import {
  CONTAINER_HOME,
  containerSecurity,
  NODE_USER,
  nodeMounts,
  nodeVolumes,
  probes,
  resources,
} from './kubernetes-pod.ts';
import { type Manifest, manifest } from './manifest.ts';
import { IMAGE_MODELS, nodeConfig, PORTS } from './node-config.ts';
import type { DeploymentPlan } from './target.ts';

/** What KServe is told beside the spec. */
export interface KserveOptions {
  /** Where the models are fetched from; empty for the model in the image. */
  readonly storageUri: string;
  /** What is routed to. */
  readonly protocol: 'v2' | 'grpc-v2';
  readonly deploymentMode: string;
}

/** Ports and folder of KServe's contract for runtimes. */
const KSERVE_PORTS = { http: 8080, grpc: 9000 } as const;
const KSERVE_MODELS = '/mnt/models';

/** A runtime for this deployment alone, the service that uses it, and the configuration of its nodes. */
export function kserveManifests(plan: DeploymentPlan, options: KserveOptions): Manifest[] {
  const models = options.storageUri === '' ? IMAGE_MODELS : KSERVE_MODELS;
  const config = nodeConfig(plan, { models, isMesh: true });
  return [
    manifest(plan, { apiVersion: 'v1', kind: 'ConfigMap' }, { data: { 'config.json': config } }),
    servingRuntime(plan, options),
    inferenceService(plan, options),
  ];
}

function servingRuntime(plan: DeploymentPlan, options: KserveOptions): Manifest {
  return manifest(
    plan,
    { apiVersion: 'serving.kserve.io/v1alpha1', kind: 'ServingRuntime' },
    {
      spec: {
        annotations: {
          'prometheus.kserve.io/port': String(PORTS.metrics),
          'prometheus.kserve.io/path': '/metrics',
        },
        supportedModelFormats: [{ name: 'onnx', version: '1', autoSelect: false }],
        protocolVersions: ['v2', 'grpc-v2'],
        multiModel: false,
        containers: [container(plan, options)],
        volumes: nodeVolumes(plan.spec.name),
      },
    },
  );
}

function container({ spec, model }: DeploymentPlan, { protocol }: KserveOptions): JsonObject {
  const { http, grpc } = KSERVE_PORTS;
  // KServe routes to the first port; the name tells Knative that it is HTTP/2 without TLS.
  const port = protocol === 'v2' ? { containerPort: http } : { containerPort: grpc, name: 'h2c' };
  return {
    name: 'kserve-container',
    image: spec.image,
    args: [
      'start',
      `--home=${CONTAINER_HOME}`,
      '--host=0.0.0.0',
      `--http-port=${http}`,
      `--grpc-port=${grpc}`,
      `--metrics-port=${PORTS.metrics}`,
    ],
    ports: [{ ...port, protocol: 'TCP' }],
    ...probes(model, { http, metrics: PORTS.metrics }),
    resources: resources(spec),
    securityContext: { ...containerSecurity(), runAsUser: NODE_USER },
    volumeMounts: nodeMounts(),
  };
}

function inferenceService(plan: DeploymentPlan, options: KserveOptions): Manifest {
  const { name, minReplicas, maxReplicas } = plan.spec;
  const { storageUri, protocol, deploymentMode } = options;
  const object = manifest(
    plan,
    { apiVersion: 'serving.kserve.io/v1beta1', kind: 'InferenceService' },
    {
      spec: {
        predictor: {
          minReplicas,
          maxReplicas,
          automountServiceAccountToken: false,
          terminationGracePeriodSeconds: 60,
          securityContext: { fsGroup: NODE_USER },
          model: {
            modelFormat: { name: 'onnx', version: '1' },
            protocolVersion: protocol,
            runtime: name,
            ...(storageUri === '' ? {} : { storageUri }),
          },
        },
      },
    },
  );
  const annotations = { 'serving.kserve.io/deploymentMode': deploymentMode };
  return { ...object, metadata: { ...object.metadata, annotations } };
}
