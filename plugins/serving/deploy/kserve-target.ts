import { defineConfig, Type } from 'lamella/sdk';
import { ImageMissing } from './errors.ts';
import { kserveManifests, type KserveOptions } from './kserve-manifests.ts';
import { manifestFile, manifestText } from './manifest.ts';
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
  deploymentMode: Type.Union([Type.Literal('RawDeployment'), Type.Literal('Serverless')], {
    default: 'RawDeployment',
    description: 'RawDeployment or Serverless, which needs Knative',
  }),
});

/** A ServingRuntime and an InferenceService by KServe's contract for runtimes. */
export function kserveTarget(): Target {
  return {
    name: 'kserve',
    description: 'A ServingRuntime and an InferenceService of KServe',
    options: OPTIONS,
    nextStep: 'kubectl apply --server-side -f FOLDER',
    async *render(plan) {
      for (const object of kserveManifests(...kservePlan(plan))) {
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
