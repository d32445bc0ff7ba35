import type { TBoolean, TObject, TString } from '@sinclair/typebox';
import { defineConfig, Type } from 'lamella/sdk';
import type { Cluster } from './cluster.ts';
import { type ClusterShape, ClusterTarget } from './cluster-target.ts';
import type { DeployConfig } from './config.ts';
import { ImageMissing } from './errors.ts';
import { KUBERNETES_KINDS, kubernetesManifests, type KubernetesOptions } from './kubernetes-manifests.ts';
import { manifestFile, manifestText } from './manifest.ts';
import { deploymentWaitsFor } from './rollout.ts';
import type { DeploymentPlan, Target } from './target.ts';

/** Options of the targets that make plain Kubernetes objects. */
export const KUBERNETES_OPTIONS: TObject<{ serviceMonitor: TBoolean; monitoringNamespace: TString }> =
  defineConfig({
    serviceMonitor: Type.Boolean({
      default: true,
      description: 'true or false: make a ServiceMonitor, which needs the Prometheus operator',
    }),
    monitoringNamespace: Type.String({
      pattern: '^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$',
      default: 'monitoring',
      description: 'namespace that Prometheus scrapes from',
    }),
  });

/** A plan with its options as the manifests want them. @throws IMAGE_MISSING */
export function kubernetesPlan(plan: DeploymentPlan): [DeploymentPlan, KubernetesOptions] {
  if (plan.spec.image === '') throw new ImageMissing({});
  const { serviceMonitor, monitoringNamespace } = plan.options;
  return [
    plan,
    { serviceMonitor: serviceMonitor === true, monitoringNamespace: String(monitoringNamespace) },
  ];
}

/** Options of targets that change a cluster. */
export const FORCE: TBoolean = Type.Boolean({
  default: false,
  description: 'true or false: take over fields that others manage',
});

const SHAPE: ClusterShape = {
  kinds: KUBERNETES_KINDS,
  manifests: (plan) => kubernetesManifests(...kubernetesPlan(plan)),
  awaited: 'Deployment',
  waitsFor: deploymentWaitsFor,
};

/** A Deployment in a cluster with all that belongs to it. */
export function kubernetesTarget(cluster: Cluster, config: DeployConfig): Target {
  return {
    name: 'kubernetes',
    description:
      'A Deployment in a cluster, with Services, probes, disruption budget, autoscaler and network policy',
    options: defineConfig({ ...KUBERNETES_OPTIONS.properties, force: FORCE }),
    live: new ClusterTarget(cluster, SHAPE, config),
    async *render(plan) {
      for (const object of SHAPE.manifests(plan)) {
        yield { path: manifestFile(object, plan.spec.name), content: manifestText(object) };
      }
    },
  };
}
