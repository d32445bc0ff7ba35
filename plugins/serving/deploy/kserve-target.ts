import { defineConfig, Type } from 'lamella/sdk';
import type { Cluster } from './cluster.ts';
import { type ClusterShape, ClusterTarget } from './cluster-target.ts';
import type { DeployConfig } from './config.ts';
import { ImageMissing } from './errors.ts';
import { kserveManifests, type KserveOptions } from './kserve-manifests.ts';
import { FORCE } from './kubernetes-target.ts';
import { manifestFile, manifestText } from './manifest.ts';
import { inferenceServiceWaitsFor } from './rollout.ts';
import type { DeploymentPlan, Target } from './target.ts';

const OPTIONS = defineConfig({
  storageUri: Type.String({
    pattern: '^$|^[a-z][a-z0-9+.-]*://[^\\s]{1,1000}$',
    default: '',
    description: "where KServe fetches the models from, in Triton's layout; empty for the model in the image",
  }),
  protocol: Type.Union([Type.Literal('v2'), Type.Literal('grpc-v2')], {
    default: 'v2',
    description: 'v2 (REST) or grpc-v2: what KServe routes to',
  }),
  force: FORCE,
  deploymentMode: Type.Union([Type.Literal('RawDeployment'), Type.Literal('Serverless')], {
    default: 'RawDeployment',
    description: 'RawDeployment or Serverless, which needs Knative',
  }),
});

const SHAPE: ClusterShape = {
  kinds: [
    { apiVersion: 'v1', kind: 'ConfigMap' },
    { apiVersion: 'serving.kserve.io/v1alpha1', kind: 'ServingRuntime' },
    { apiVersion: 'serving.kserve.io/v1beta1', kind: 'InferenceService' },
  ],
  manifests: (plan) => kserveManifests(...kservePlan(plan)),
  awaited: 'InferenceService',
  waitsFor: inferenceServiceWaitsFor,
};

/** A ServingRuntime and an InferenceService by KServe's contract for runtimes. */
export function kserveTarget(cluster: Cluster, config: DeployConfig): Target {
  return {
    name: 'kserve',
    description: 'A ServingRuntime and an InferenceService of KServe',
    options: OPTIONS,
    live: new ClusterTarget(cluster, SHAPE, config),
    async *render(plan) {
      for (const object of SHAPE.manifests(plan)) {
        yield { path: manifestFile(object, plan.spec.name), content: manifestText(object) };
      }
    },
  };
}

/** A plan with its options as the manifests want them. @throws IMAGE_MISSING */
function kservePlan(plan: DeploymentPlan): [DeploymentPlan, KserveOptions] {
  if (plan.spec.image === '') throw new ImageMissing({});
  const { storageUri, protocol, deploymentMode } = plan.options;
  return [
    plan,
    {
      storageUri: String(storageUri),
      protocol: protocol === 'grpc-v2' ? 'grpc-v2' : 'v2',
      deploymentMode: String(deploymentMode),
    },
  ];
}
