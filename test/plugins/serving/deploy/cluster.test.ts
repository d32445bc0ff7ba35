import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { create, type JsonObject } from '@bufbuild/protobuf';
import { isDeclaredError, type ServiceImplementation } from 'lamella/sdk';
import {
  ChangeKind,
  DeploymentSpecSchema,
  DeploymentState,
  DeployRequestSchema,
  type DeployService,
  DiffDeploymentRequestSchema,
  UndeployRequestSchema,
} from 'lamella/proto/lamella/serving/v1/deploy_service';
import { parse } from 'yaml';
import { fakeContext } from '../../../support/fake-host.ts';
import { TestApiServer } from '../../../support/kubernetes/api-server.ts';
import type { KubernetesObject } from '../../../support/kubernetes/schemas.ts';
import { render, SPEC, subject } from './deploy-subject.ts';

const READY: Readonly<Record<string, object>> = {
  Deployment: { observedGeneration: 99, replicas: 2, updatedReplicas: 2, availableReplicas: 2 },
  InferenceService: { observedGeneration: 99, conditions: [{ type: 'Ready', status: 'True' }] },
};

/** A cluster in which everything runs at once. */
function runs(object: KubernetesObject): KubernetesObject {
  const status = READY[object.kind];
  return status === undefined ? object : { ...object, status };
}

for (const target of ['kubernetes', 'kserve']) {
  describe(`target ${target}, applied to a cluster`, function () {
    this.timeout(60_000);
    let folder: string;
    let cluster: TestApiServer;
    let service: ServiceImplementation<typeof DeployService>;

    beforeEach(async () => {
      folder = await mkdtemp(path.join(tmpdir(), 'lamella-cluster-'));
      cluster = new TestApiServer();
      cluster.settle = runs;
      await cluster.start();
      const kubeconfig = path.join(folder, 'kubeconfig');
      await writeFile(kubeconfig, cluster.kubeconfig());
      service = subject({ kubeconfig });
    });

    afterEach(async () => {
      await cluster.stop();
      await rm(folder, { recursive: true, force: true });
    });

    const request = (options: JsonObject = {}): object => ({
      modelVersion: 'models/digits/versions/3',
      target,
      options,
      spec: create(DeploymentSpecSchema, SPEC),
    });
    const deploy = async (options: JsonObject = {}): Promise<unknown[]> => {
      const states: unknown[] = [];
      const message = create(DeployRequestSchema, request(options));
      for await (const { deployment } of service.deploy(message, fakeContext()))
        states.push(deployment?.state);
      return states;
    };
    const diff = async (options: JsonObject = {}): Promise<[string, ChangeKind, readonly string[]][]> => {
      const message = create(DiffDeploymentRequestSchema, request(options));
      const { changes = [] } = await service.diffDeployment(message, fakeContext());
      return changes.map(({ resource = '', kind = ChangeKind.UNSPECIFIED, fields = [] }) => [
        resource,
        kind,
        fields,
      ]);
    };
    const reasonOf = async (work: Promise<unknown>): Promise<string> => {
      const error = await work.then(
        () => assert.fail('it went well'),
        (thrown: unknown) => thrown,
      );
      assert.ok(isDeclaredError(error), String(error));
      return error.reason;
    };

    it('sends just the manifests by server-side apply, first as a dry run, and says READY', async () => {
      assert.deepEqual(await deploy(), [DeploymentState.PENDING, DeploymentState.READY]);
      const files = await render(subject(), { target });
      const wanted = files.map(({ bytes }) => parse(bytes.toString()) as KubernetesObject);
      assert.deepEqual(
        cluster.sent.map(({ method, query, body }) => [method, query['dryRun'], query['fieldManager'], body]),
        ['All', undefined].flatMap((dryRun) => wanted.map((object) => ['PATCH', dryRun, 'lamella', object])),
      );
      assert.ok(cluster.sent.every(({ query }) => query['force'] !== 'true'));
    });

    it('shows what would change without changing it', async () => {
      const before = await diff();
      assert.ok(before.length > 0 && before.every(([, kind]) => kind === ChangeKind.CREATE));
      assert.equal(cluster.objects.size, 0);
      await deploy();
      assert.ok((await diff()).every(([, kind, fields]) => kind === ChangeKind.NONE && fields.length === 0));
      const [where, map] = [...cluster.objects].find(([, { kind }]) => kind === 'ConfigMap') ?? [];
      assert.ok(where !== undefined && map !== undefined);
      cluster.objects.set(where, { ...map, data: { 'config.json': 'other' } });
      const changed = (await diff()).filter(([, kind]) => kind !== ChangeKind.NONE);
      assert.deepEqual(
        changed.map(([resource, kind]) => [resource, kind]),
        [['v1 ConfigMap prod/digits', ChangeKind.UPDATE]],
      );
      assert.match(changed[0]?.[2][0] ?? '', /^data\.config\.json: "other" -> "/);
    });

    it('removes what the spec no longer has, and nothing of others', async () => {
      await deploy();
      const [where, map] = [...cluster.objects].find(([, { kind }]) => kind === 'ConfigMap') ?? [];
      assert.ok(where !== undefined && map !== undefined);
      const labels = (map.metadata as unknown as { labels: object }).labels;
      const copy = (name: string, more: object): KubernetesObject => ({
        ...map,
        metadata: { ...map.metadata, name, ...more },
      });
      cluster.objects.set(`${where}-old`, copy('digits-old', {}));
      cluster.objects.set(
        `${where}-other`,
        copy('other', { labels: { ...labels, 'app.kubernetes.io/instance': 'other' } }),
      );
      cluster.objects.set(
        `${where}-hand`,
        copy('hand', { labels: { ...labels, 'app.kubernetes.io/managed-by': 'Helm' } }),
      );
      assert.deepEqual(
        (await diff())
          .filter(([, kind]) => kind !== ChangeKind.NONE)
          .map(([resource, kind]) => [resource, kind]),
        [['v1 ConfigMap prod/digits-old', ChangeKind.DELETE]],
      );
      await deploy();
      const names = [...cluster.objects.values()]
        .filter(({ kind }) => kind === 'ConfigMap')
        .map(({ metadata }) => metadata.name);
      assert.deepEqual(names, ['digits', 'other', 'hand']);
    });

    it('takes all of it away again, once', async () => {
      await deploy();
      const message = create(UndeployRequestSchema, { name: `deployments/${target}:digits` });
      const { deployment } = await service.undeploy(message, fakeContext());
      assert.equal(deployment?.state, DeploymentState.REMOVED);
      assert.equal(cluster.objects.size, 0);
      assert.equal(
        await reasonOf(Promise.resolve(service.undeploy(message, fakeContext()))),
        'DEPLOYMENT_NOT_FOUND',
      );
    });

    it('names who else manages a field, and takes it over when it is forced', async () => {
      cluster.foreign.add('ConfigMap');
      assert.equal(await reasonOf(deploy()), 'CLUSTER_CONFLICT');
      assert.equal(cluster.objects.size, 0);
      assert.deepEqual(await deploy({ force: true }), [DeploymentState.PENDING, DeploymentState.READY]);
    });

    it('changes nothing when one object is forbidden or refused', async () => {
      cluster.forbidden.add('ConfigMap');
      assert.equal(await reasonOf(deploy()), 'CLUSTER_FORBIDDEN');
      cluster.forbidden.clear();
      const last = target === 'kserve' ? 'InferenceService' : 'HorizontalPodAutoscaler';
      cluster.problems = async ({ kind }) => (kind === last ? ['spec: wrong'] : []);
      assert.equal(await reasonOf(deploy()), 'CLUSTER_REFUSED');
      assert.equal(cluster.objects.size, 0);
    });

    it('says so when the cluster lacks a kind, does not know the account, or is gone', async () => {
      const version = target === 'kserve' ? 'serving.kserve.io/v1alpha1' : 'monitoring.coreos.com/v1';
      cluster.unknown.add(version);
      assert.equal(await reasonOf(deploy()), 'CLUSTER_KIND_UNKNOWN');
      if (target === 'kubernetes') assert.equal((await deploy({ serviceMonitor: false })).length, 2);
      const stranger = path.join(folder, 'stranger');
      await writeFile(stranger, cluster.kubeconfig('wrong'));
      service = subject({ kubeconfig: stranger });
      assert.equal(await reasonOf(deploy()), 'CLUSTER_FORBIDDEN');
      const gone = path.join(folder, 'gone');
      await writeFile(gone, cluster.kubeconfig());
      await cluster.stop();
      service = subject({ kubeconfig: gone });
      assert.equal(await reasonOf(deploy()), 'CLUSTER_UNREACHABLE');
      service = subject({ kubeconfig: path.join(folder, 'nothing') });
      assert.equal(await reasonOf(diff()), 'CLUSTER_UNREACHABLE');
    });

    it('gives up when the pods do not become ready, and says what they wait for', async () => {
      cluster.settle = (object) => object;
      service = subject({ kubeconfig: path.join(folder, 'kubeconfig'), readyTimeoutMs: 100 });
      assert.equal(await reasonOf(deploy()), 'DEPLOYMENT_TOO_SLOW');
    });
  });
}
