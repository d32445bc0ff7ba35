import { defineConfig, Type } from 'lamella/sdk';
import { ImageMissing } from './errors.ts';
import { kubernetesManifests } from './kubernetes-manifests.ts';
import { type Manifest, manifestFile, manifestText } from './manifest.ts';
import type { DeploymentPlan, Target } from './target.ts';

const OPTIONS = defineConfig({
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

/** Objects of a plan for plain Kubernetes. @throws IMAGE_MISSING */
export function manifestsOf(plan: DeploymentPlan): Manifest[] {
  if (plan.spec.image === '') throw new ImageMissing({});
  const { serviceMonitor, monitoringNamespace } = plan.options;
  return kubernetesManifests(plan, {
    serviceMonitor: serviceMonitor === true,
    monitoringNamespace: String(monitoringNamespace),
  });
}

/** A Deployment in a cluster with all that belongs to it. */
export function kubernetesTarget(): Target {
  return {
    name: 'kubernetes',
    description:
      'A Deployment in a cluster, with Services, probes, disruption budget, autoscaler and network policy',
    options: OPTIONS,
    async *render(plan) {
      for (const object of manifestsOf(plan)) {
        yield { path: manifestFile(object, plan.spec.name), content: manifestText(object) };
      }
    },
    nextStep: 'kubectl apply --server-side -f FOLDER',
  };
}
