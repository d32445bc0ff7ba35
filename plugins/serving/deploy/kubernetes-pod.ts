import { createHash } from 'node:crypto';
import type { JsonObject } from '@bufbuild/protobuf';
import { selectorLabels } from './manifest.ts';
import { PORTS } from './node-config.ts';
import type { Spec } from './spec.ts';
import type { DeploymentPlan } from './target.ts';

/** User and group that the image runs as; distroless calls them `nonroot`. */
export const NODE_USER = 65_532;

/** Home folder of a node in a container. */
export const CONTAINER_HOME = '/var/lib/lamella';

/** The pod template of a Deployment. */
export function podTemplate(plan: DeploymentPlan, config: string): JsonObject {
  const { spec } = plan;
  const labels = { ...selectorLabels(spec.name), 'app.kubernetes.io/version': plan.version };
  return {
    metadata: {
      labels,
      // Pods do not notice that a ConfigMap has changed; this makes new ones.
      annotations: { 'lamella.io/config-sha256': createHash('sha256').update(config).digest('hex') },
    },
    spec: {
      serviceAccountName: spec.name,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 60,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: NODE_USER,
        runAsGroup: NODE_USER,
        fsGroup: NODE_USER,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: 'kubernetes.io/hostname',
          whenUnsatisfiable: 'ScheduleAnyway',
          labelSelector: { matchLabels: selectorLabels(spec.name) },
        },
      ],
      containers: [{ ...container(plan), ...probes(plan.model, { http: 'http', metrics: 'metrics' }) }],
      volumes: nodeVolumes(spec.name),
    },
  };
}

function container({ spec }: DeploymentPlan): JsonObject {
  return {
    name: 'lamella',
    image: spec.image,
    args: ['start', '--home', CONTAINER_HOME, '--host', '0.0.0.0'],
    ports: Object.entries(PORTS).map(([name, containerPort]) => ({ name, containerPort, protocol: 'TCP' })),
    resources: resources(spec),
    securityContext: containerSecurity(),
    volumeMounts: nodeMounts(),
  };
}

/** Ports by name or number. */
export interface ProbePorts {
  readonly http: string | number;
  readonly metrics: string | number;
}

/**
 * Probes as docs/mesh.md has them. The node is ready as soon as its plugins are, so the start counts as done only when
 * the model answers; Kubernetes asks for readiness from then on.
 */
export function probes(model: string, { http, metrics }: ProbePorts): JsonObject {
  return {
    startupProbe: {
      httpGet: { path: `/v2/models/${model}/ready`, port: http },
      periodSeconds: 2,
      failureThreshold: 150,
    },
    readinessProbe: { httpGet: { path: '/healthz/ready', port: metrics }, periodSeconds: 2 },
    livenessProbe: { httpGet: { path: '/healthz/live', port: metrics }, periodSeconds: 10 },
  };
}

/** What one replica gets: as much memory as it may use, so that it is not killed for what others use. */
export function resources({ cpuMillis, memoryMib, acceleratorCount }: Spec): JsonObject {
  const memory = `${memoryMib}Mi`;
  const cpu = `${cpuMillis}m`;
  const accelerators = acceleratorCount === 0 ? {} : { 'nvidia.com/gpu': String(acceleratorCount) };
  return { requests: { cpu, memory, ...accelerators }, limits: { cpu, memory, ...accelerators } };
}

/** Least privilege for the one container. */
export function containerSecurity(): JsonObject {
  return {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    runAsNonRoot: true,
    capabilities: { drop: ['ALL'] },
  };
}

/** What is written to: home and sockets. A pod keeps nothing, since the model is in its image. */
export function nodeVolumes(configMap: string): JsonObject[] {
  return [
    { name: 'home', emptyDir: {} },
    { name: 'tmp', emptyDir: {} },
    { name: 'config', configMap: { name: configMap } },
  ];
}

/** Where the volumes of {@link nodeVolumes} are. */
export function nodeMounts(): JsonObject[] {
  return [
    { name: 'home', mountPath: CONTAINER_HOME },
    { name: 'tmp', mountPath: '/tmp' },
    { name: 'config', mountPath: `${CONTAINER_HOME}/config.json`, subPath: 'config.json', readOnly: true },
  ];
}
