import type { JsonObject } from '@bufbuild/protobuf';
import type { ObjectKind } from './cluster.ts';
import { podTemplate } from './kubernetes-pod.ts';
import { type Manifest, manifest, selectorLabels } from './manifest.ts';
import { IMAGE_MODELS, nodeConfig, PORTS } from './node-config.ts';
import type { DeploymentPlan } from './target.ts';

/** What a cluster is told beside the spec. */
export interface KubernetesOptions {
  /** Makes a ServiceMonitor, which needs the Prometheus operator. */
  readonly serviceMonitor: boolean;
  /** Namespace that Prometheus scrapes from. */
  readonly monitoringNamespace: string;
}

/** Kinds that {@link kubernetesManifests} makes, also by other options. */
export const KUBERNETES_KINDS: readonly ObjectKind[] = [
  { apiVersion: 'v1', kind: 'ServiceAccount' },
  { apiVersion: 'v1', kind: 'ConfigMap' },
  { apiVersion: 'v1', kind: 'Service' },
  { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy' },
  { apiVersion: 'apps/v1', kind: 'Deployment' },
  { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget' },
  { apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler' },
  { apiVersion: 'monitoring.coreos.com/v1', kind: 'ServiceMonitor' },
];

/** Everything that a deployment is in a cluster, in the order in which it is made. */
export function kubernetesManifests(plan: DeploymentPlan, options: KubernetesOptions): Manifest[] {
  const config = nodeConfig(plan, { models: IMAGE_MODELS, isMesh: true });
  return [
    manifest(plan, { apiVersion: 'v1', kind: 'ServiceAccount' }, { automountServiceAccountToken: false }),
    manifest(plan, { apiVersion: 'v1', kind: 'ConfigMap' }, { data: { 'config.json': config } }),
    networkPolicy(plan, options),
    service(plan),
    service(plan, '-headless'),
    deployment(plan, config),
    disruptionBudget(plan),
    autoscaler(plan),
    ...(options.serviceMonitor ? [serviceMonitor(plan)] : []),
  ];
}

function deployment(plan: DeploymentPlan, config: string): Manifest {
  return manifest(
    plan,
    { apiVersion: 'apps/v1', kind: 'Deployment' },
    {
      // No replicas: they are the autoscaler's, and each apply would set them back.
      spec: {
        revisionHistoryLimit: 5,
        progressDeadlineSeconds: 600,
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
        selector: { matchLabels: selectorLabels(plan.spec.name) },
        template: podTemplate(plan, config),
      },
    },
  );
}

/**
 * The headless one is for callers that balance by themselves: gRPC clients stay with the pod they find first. It has no
 * port for metrics, or each pod would be scraped twice.
 */
function service(plan: DeploymentPlan, suffix: '' | '-headless' = ''): Manifest {
  const appProtocols = { grpc: 'grpc', http: 'http', metrics: 'http' } as const;
  const names = suffix === '' ? (['grpc', 'http', 'metrics'] as const) : (['grpc', 'http'] as const);
  const ports = names.map((name) => ({
    name,
    port: PORTS[name],
    targetPort: name,
    protocol: 'TCP',
    appProtocol: appProtocols[name],
  }));
  const clusterIp = suffix === '' ? {} : { clusterIP: 'None' };
  const spec = { type: 'ClusterIP', ...clusterIp, selector: selectorLabels(plan.spec.name), ports };
  return manifest(plan, { apiVersion: 'v1', kind: 'Service', suffix }, { spec });
}

function disruptionBudget(plan: DeploymentPlan): Manifest {
  // maxUnavailable and not minAvailable: that would keep a node with the only replica from ever being drained.
  const spec = { maxUnavailable: 1, selector: { matchLabels: selectorLabels(plan.spec.name) } };
  return manifest(plan, { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget' }, { spec });
}

function autoscaler(plan: DeploymentPlan): Manifest {
  const { name, minReplicas, maxReplicas, queueDepth } = plan.spec;
  return manifest(
    plan,
    { apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler' },
    {
      spec: {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name },
        minReplicas,
        maxReplicas,
        metrics: [
          {
            type: 'Pods',
            pods: {
              metric: { name: 'nv_inference_pending_request_count' },
              target: { type: 'AverageValue', averageValue: String(queueDepth) },
            },
          },
        ],
        behavior: { scaleDown: { stabilizationWindowSeconds: 300 } },
      },
    },
  );
}

/** Callers of the same namespace and Prometheus may come in; out goes nothing but what tokens need to be checked. */
function networkPolicy(plan: DeploymentPlan, options: KubernetesOptions): Manifest {
  const { spec } = plan;
  const port = (name: string): JsonObject => ({ port: name, protocol: 'TCP' });
  const monitoring = { matchLabels: { 'kubernetes.io/metadata.name': options.monitoringNamespace } };
  const checksTokens = Array.isArray(spec.access?.['jwt']) && spec.access['jwt'].length > 0;
  const keySets: JsonObject[] = [
    {
      ports: [
        { port: 53, protocol: 'UDP' },
        { port: 53, protocol: 'TCP' },
      ],
    },
    { ports: [{ port: 443, protocol: 'TCP' }] },
  ];
  return manifest(
    plan,
    { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy' },
    {
      spec: {
        podSelector: { matchLabels: selectorLabels(spec.name) },
        policyTypes: ['Ingress', 'Egress'],
        ingress: [
          { from: [{ podSelector: {} }], ports: [port('grpc'), port('http')] },
          { from: [{ namespaceSelector: monitoring }], ports: [port('metrics')] },
        ],
        egress: checksTokens ? keySets : [],
      },
    },
  );
}

function serviceMonitor(plan: DeploymentPlan): Manifest {
  return manifest(
    plan,
    { apiVersion: 'monitoring.coreos.com/v1', kind: 'ServiceMonitor' },
    {
      spec: {
        selector: { matchLabels: selectorLabels(plan.spec.name) },
        endpoints: [{ port: 'metrics', path: '/metrics', interval: '15s' }],
      },
    },
  );
}
