import assert from 'node:assert/strict';
import { parse } from 'yaml';
import { needTool } from '../../../e2e/tool.ts';
import { type KubernetesObject, KubernetesSchemas } from '../../../support/kubernetes/schemas.ts';
import { render, type RenderInit, SPEC, subject } from './deploy-subject.ts';

async function objects(request: Omit<RenderInit, 'target'> = {}): Promise<KubernetesObject[]> {
  const files = await render(subject(), { target: 'kubernetes', ...request });
  return files.map(({ bytes }) => parse(bytes.toString()) as KubernetesObject);
}

/** The value at a path such as `spec.ports.0.name`. */
function at(object: unknown, path: string): unknown {
  let value: unknown = object;
  for (const key of path.split('.')) {
    value = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined;
  }
  return value;
}

function named(all: readonly KubernetesObject[], kind: string, name = 'digits'): KubernetesObject {
  const found = all.find((object) => object.kind === kind && object.metadata.name === name);
  assert.ok(found !== undefined, `${kind} ${name}`);
  return found;
}

describe('the manifests of target kubernetes', function () {
  this.timeout(300_000);

  describe('checked by the schemas of Kubernetes 1.37 and the Prometheus operator', () => {
    let schemas: KubernetesSchemas;

    before(async function () {
      schemas = await needTool(this, 'a set of Kubernetes schemas', () => KubernetesSchemas.open());
    });

    const specs: readonly [string, Omit<RenderInit, 'target'>][] = [
      ['a plain spec', {}],
      [
        'an accelerator',
        { spec: { ...SPEC, compute: { accelerator: 3, acceleratorCount: 2, cpuMillis: 500 } } },
      ],
      ['own access', { spec: { ...SPEC, access: { jwt: [{ issuer: 'https://a.example' }] } } }],
      ['one replica', { spec: { ...SPEC, scale: { minReplicas: 1, maxReplicas: 1, queueDepth: 1 } } }],
    ];
    for (const [what, request] of specs) {
      it(`are valid with ${what}`, async () => {
        for (const object of await objects(request)) {
          assert.deepEqual(await schemas.problems(object), [], object.kind);
        }
      });
    }

    it('are not valid with a wrong or unknown field', async () => {
      const all = await objects();
      for (const object of all) {
        assert.notDeepEqual(await schemas.problems({ ...object, spek: {} }), [], object.kind);
      }
      const monitor = named(all, 'ServiceMonitor');
      assert.notDeepEqual(await schemas.problems({ ...monitor, spec: { endpoints: [{ prot: 'x' }] } }), []);
      const deployment = named(all, 'Deployment');
      assert.notDeepEqual(await schemas.problems({ ...deployment, spec: { replicas: 'two' } }), []);
    });
  });

  it('say what the mesh and the balancers need', async () => {
    const all = await objects();
    const service = named(all, 'Service');
    assert.deepEqual(at(service, 'spec.ports.0'), {
      name: 'grpc',
      port: 8001,
      targetPort: 'grpc',
      protocol: 'TCP',
      appProtocol: 'grpc',
    });
    assert.equal(at(named(all, 'Service', 'digits-headless'), 'spec.clusterIP'), 'None');
    const container = 'spec.template.spec.containers.0';
    const deployment = named(all, 'Deployment');
    assert.deepEqual(at(deployment, `${container}.readinessProbe.httpGet`), {
      path: '/healthz/ready',
      port: 'metrics',
    });
    assert.deepEqual(at(deployment, `${container}.livenessProbe.httpGet`), {
      path: '/healthz/live',
      port: 'metrics',
    });
    assert.equal(at(deployment, `${container}.startupProbe.httpGet.path`), '/v2/models/digits/ready');
    assert.equal(at(deployment, 'spec.replicas'), undefined);
    assert.equal(
      at(named(all, 'HorizontalPodAutoscaler'), 'spec.metrics.0.pods.metric.name'),
      'nv_inference_pending_request_count',
    );
    assert.equal(at(named(all, 'PodDisruptionBudget'), 'spec.maxUnavailable'), 1);
  });

  it('give the pod nothing that it does not need', async () => {
    const pod = at(named(await objects(), 'Deployment'), 'spec.template.spec');
    assert.equal(at(pod, 'automountServiceAccountToken'), false);
    assert.equal(at(pod, 'securityContext.runAsNonRoot'), true);
    assert.deepEqual(at(pod, 'containers.0.securityContext'), {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      capabilities: { drop: ['ALL'] },
    });
    const policy = named(await objects(), 'NetworkPolicy');
    assert.deepEqual(at(policy, 'spec.egress'), []);
    assert.deepEqual(at(policy, 'spec.ingress.0.from'), [{ podSelector: {} }]);
  });

  it('make new pods when the configuration changes', async () => {
    const annotations = async (request: Omit<RenderInit, 'target'>): Promise<unknown> =>
      at(named(await objects(request), 'Deployment'), 'spec.template.metadata.annotations');
    const before = await annotations({});
    assert.deepEqual(await annotations({}), before);
    assert.notDeepEqual(await annotations({ spec: { ...SPEC, inference: { instances: 2 } } }), before);
  });

  it('leave the ServiceMonitor out when there is no operator for it', async () => {
    const all = await objects({ options: { serviceMonitor: false } });
    assert.equal(
      all.some(({ kind }) => kind === 'ServiceMonitor'),
      false,
    );
  });

  it('need an image', async () => {
    await assert.rejects(objects({ spec: { ...SPEC, image: '' } }), /names no image/);
  });
});
