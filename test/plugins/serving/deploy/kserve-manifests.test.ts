import assert from 'node:assert/strict';
import { parse } from 'yaml';
import { needTool } from '../../../e2e/tool.ts';
import { type KubernetesObject, KubernetesSchemas } from '../../../support/kubernetes/schemas.ts';
import { render, type RenderInit, SPEC, subject } from './deploy-subject.ts';

interface Runtime extends KubernetesObject {
  readonly spec: {
    readonly annotations: Readonly<Record<string, string>>;
    readonly protocolVersions: readonly string[];
    readonly supportedModelFormats: readonly { readonly name: string; readonly version: string }[];
    readonly containers: readonly {
      readonly name: string;
      readonly args: readonly string[];
      readonly ports: readonly object[];
      readonly securityContext: object;
    }[];
  };
}

async function objects(options: RenderInit['options'] = {}): Promise<KubernetesObject[]> {
  const files = await render(subject(), { target: 'kserve', options });
  return files.map(({ bytes }) => parse(bytes.toString()) as KubernetesObject);
}

async function runtime(options: RenderInit['options'] = {}): Promise<Runtime> {
  const found = (await objects(options)).find(({ kind }) => kind === 'ServingRuntime');
  assert.ok(found !== undefined);
  return found as Runtime;
}

describe('the manifests of target kserve', function () {
  this.timeout(300_000);

  describe('checked by the definitions of KServe 0.15.2', () => {
    let schemas: KubernetesSchemas;

    before(async function () {
      schemas = await needTool(this, 'a set of Kubernetes schemas', () => KubernetesSchemas.open());
    });

    for (const options of [
      {},
      { storageUri: 's3://models/digits', protocol: 'grpc-v2' },
      { deploymentMode: 'Serverless' },
    ]) {
      it(`are valid with ${JSON.stringify(options)}`, async () => {
        for (const object of await objects(options)) {
          assert.deepEqual(await schemas.problems(object), [], object.kind);
        }
      });
    }

    it('are not valid with a wrong or unknown field', async () => {
      for (const object of await objects()) {
        assert.notDeepEqual(await schemas.problems({ ...object, spek: {} }), [], object.kind);
      }
      const wrong = { ...(await runtime()), spec: { containers: 'none' } };
      assert.notDeepEqual(await schemas.problems(wrong), []);
    });
  });

  it('keep the contract of a runtime', async () => {
    const { spec } = await runtime();
    const [container] = spec.containers;
    assert.equal(container?.name, 'kserve-container');
    assert.ok(container.args.includes('--http-port=8080') && container.args.includes('--grpc-port=9000'));
    assert.deepEqual(container.ports, [{ containerPort: 8080, protocol: 'TCP' }]);
    assert.deepEqual(spec.protocolVersions, ['v2', 'grpc-v2']);
    assert.deepEqual(spec.supportedModelFormats, [{ name: 'onnx', version: '1', autoSelect: false }]);
    assert.equal(spec.annotations['prometheus.kserve.io/path'], '/metrics');
    assert.deepEqual(container.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      runAsUser: 65_532,
      capabilities: { drop: ['ALL'] },
    });
  });

  it('route to gRPC where that is asked for', async () => {
    const [container] = (await runtime({ protocol: 'grpc-v2' })).spec.containers;
    assert.deepEqual(container?.ports, [{ containerPort: 9000, name: 'h2c', protocol: 'TCP' }]);
  });

  it('look for the models where KServe puts them', async () => {
    const models = async (options: RenderInit['options']): Promise<unknown> => {
      const config = (await objects(options)).find(({ kind }) => kind === 'ConfigMap')?.['data'];
      const text = (config as Readonly<Record<string, string>>)['config.json'] ?? '';
      return (JSON.parse(text) as { plugins: Record<string, { config: { modelRepositories: unknown } }> })
        .plugins['serving.infer']?.config.modelRepositories;
    };
    assert.deepEqual(await models({}), ['/models']);
    assert.deepEqual(await models({ storageUri: 'pvc://models' }), ['/mnt/models']);
  });

  it('need an image, and a storageUri that is one', async () => {
    await assert.rejects(
      render(subject(), { target: 'kserve', spec: { ...SPEC, image: '' } }),
      /names no image/,
    );
    await assert.rejects(objects({ storageUri: 'models' }), /'storageUri' must be/);
  });
});
