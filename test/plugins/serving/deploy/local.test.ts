import assert from 'node:assert/strict';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type Client, Code, DeclaredError, isDeclaredError, type ServiceImplementation } from 'lamella/sdk';
import {
  type GRPCInferenceService,
  ModelReadyResponseSchema,
  RepositoryModelLoadResponseSchema,
  RepositoryModelUnloadResponseSchema,
} from 'lamella/proto/inference/grpc_inference_service';
import {
  GetVersionResponseSchema,
  type RegistryService,
} from 'lamella/proto/lamella/model/v1/registry_service';
import {
  type DeployService,
  DeploymentState,
  DeployRequestSchema,
  GetDeploymentRequestSchema,
  ListDeploymentsRequestSchema,
  ListTargetsRequestSchema,
  UndeployRequestSchema,
} from 'lamella/proto/lamella/serving/v1/deploy_service';
import { Deployments } from '../../../../plugins/serving/deploy/deployments.ts';
import { localTarget } from '../../../../plugins/serving/deploy/local-target.ts';
import { deployService } from '../../../../plugins/serving/deploy/service.ts';
import { dockerTarget } from '../../../../plugins/serving/deploy/docker-target.ts';
import { callContext, MemoryStorage } from '../infer-fixture.ts';

/** An inference service that knows what is loaded and becomes ready at the second look. */
class FakeInference {
  readonly loaded: Map<string, string> = new Map();
  refuse: string | undefined;
  looks = 0;

  client(): Client<typeof GRPCInferenceService> {
    const methods: Partial<Client<typeof GRPCInferenceService>> = {
      repositoryModelLoad: async ({ modelName = '', parameters = {} }) => {
        if (this.refuse !== undefined) {
          throw new DeclaredError({
            reason: 'REFUSED',
            code: Code.FAILED_PRECONDITION,
            message: this.refuse,
          });
        }
        this.loaded.set(modelName, String(parameters['version']?.parameterChoice?.value));
        this.looks = 0;
        return create(RepositoryModelLoadResponseSchema);
      },
      repositoryModelUnload: async ({ modelName = '' }) => {
        this.loaded.delete(modelName);
        return create(RepositoryModelUnloadResponseSchema);
      },
      modelReady: async ({ name = '', version = '' }) => {
        this.looks += 1;
        return create(ModelReadyResponseSchema, {
          ready: this.looks > 1 && this.loaded.get(name) === version,
        });
      },
    };
    return methods as Client<typeof GRPCInferenceService>;
  }
}

describe('serving.deploy', () => {
  let inference: FakeInference;
  let service: ServiceImplementation<typeof DeployService>;
  let champion: bigint;

  beforeEach(() => {
    inference = new FakeInference();
    champion = 3n;
    const registry: Partial<Client<typeof RegistryService>> = {
      getVersion: async ({ name = '' }) => {
        const version = name.includes('/aliases/') ? champion : BigInt(name.split('/').at(-1) ?? '');
        return create(GetVersionResponseSchema, { version: { model: 'digits', version } });
      },
    };
    service = deployService({
      registry: registry as Client<typeof RegistryService>,
      deployments: new Deployments(new MemoryStorage()),
      targets: [
        localTarget(inference.client(), {
          readyTimeoutMs: 1_000,
          pollIntervalMs: 10,
          extraPackages: '',
          kubeconfig: '',
          kubeContext: '',
        }),
        dockerTarget({ packageDirectory: '.', extraPackages: '' }),
      ],
      clock: { now: () => 1_000 },
    });
  });

  const deploy = async (
    init: MessageInitShape<typeof DeployRequestSchema>,
  ): Promise<[number | undefined, string | undefined][]> => {
    const states: [number | undefined, string | undefined][] = [];
    for await (const { deployment } of service.deploy(create(DeployRequestSchema, init), callContext())) {
      states.push([deployment?.state, deployment?.modelVersion]);
    }
    return states;
  };
  const rejection = async (work: Promise<unknown>): Promise<DeclaredError> => {
    const error = await work.then(
      () => assert.fail('expected an error'),
      (thrown: unknown) => thrown,
    );
    assert.ok(isDeclaredError(error), String(error));
    return error;
  };
  const listed = async (): Promise<unknown[]> => {
    const { deployments } = await service.listDeployments(
      create(ListDeploymentsRequestSchema),
      callContext(),
    );
    return (deployments ?? []).map(({ name, state, modelVersion }) => [name, state, modelVersion]);
  };

  it('turns an alias into its version, loads it and waits until it is ready', async () => {
    assert.deepEqual(await deploy({ modelVersion: 'models/digits/aliases/champion' }), [
      [DeploymentState.PENDING, 'models/digits/versions/3'],
      [DeploymentState.READY, 'models/digits/versions/3'],
    ]);
    assert.equal(inference.loaded.get('digits'), '3');
    assert.deepEqual(await listed(), [
      ['deployments/local:digits', DeploymentState.READY, 'models/digits/versions/3'],
    ]);
  });

  it('keeps the version before when a new one fails', async () => {
    await deploy({ modelVersion: 'models/digits/versions/3' });
    inference.refuse = 'no';
    assert.equal((await rejection(deploy({ modelVersion: 'models/digits/versions/4' }))).reason, 'REFUSED');
    assert.deepEqual(await listed(), [
      ['deployments/local:digits', DeploymentState.READY, 'models/digits/versions/3'],
    ]);
  });

  it('records why a first deployment failed', async () => {
    inference.refuse = 'the file is broken';
    await rejection(deploy({ modelVersion: 'models/digits/versions/4' }));
    const name = 'deployments/local:digits';
    const { deployment } = await service.getDeployment(
      create(GetDeploymentRequestSchema, { name }),
      callContext(),
    );
    assert.equal(deployment?.state, DeploymentState.FAILED);
    assert.equal(deployment?.reason, 'the file is broken');
  });

  it('changes nothing when it is to check only', async () => {
    await deploy({ modelVersion: 'models/digits/versions/3', validateOnly: true });
    assert.deepEqual(await listed(), []);
    assert.equal(inference.loaded.size, 0);
  });

  it('takes a deployment away', async () => {
    await deploy({ modelVersion: 'models/digits/versions/3' });
    const request = create(UndeployRequestSchema, { name: 'deployments/local:digits' });
    const { deployment } = await service.undeploy(request, callContext());
    assert.equal(deployment?.state, DeploymentState.REMOVED);
    assert.equal(inference.loaded.size, 0);
    assert.equal(
      (await rejection(Promise.resolve(service.undeploy(request, callContext())))).reason,
      'DEPLOYMENT_NOT_FOUND',
    );
  });

  const wrong: readonly [string, MessageInitShape<typeof DeployRequestSchema>, string][] = [
    ['a name that is none', { modelVersion: 'digits' }, 'VERSION_NAME_INVALID'],
    [
      'a name that leaves its model',
      { modelVersion: 'models/digits/versions/1/../..' },
      'VERSION_NAME_INVALID',
    ],
    ['an unknown target', { modelVersion: 'models/digits/versions/1', target: 'moon' }, 'TARGET_UNKNOWN'],
    [
      'to change a target that has files only',
      { modelVersion: 'models/digits/versions/1', target: 'docker' },
      'TARGET_FILES_ONLY',
    ],
    [
      'an unknown option',
      { modelVersion: 'models/digits/versions/1', options: { replicas: 2 } },
      'OPTIONS_INVALID',
    ],
  ];
  for (const [what, request, reason] of wrong) {
    it(`refuses ${what}`, async () => {
      assert.equal((await rejection(deploy(request))).reason, reason);
    });
  }

  it('lists targets with the schema of their options', async () => {
    const { targets } = await service.listTargets(create(ListTargetsRequestSchema), callContext());
    assert.deepEqual(
      targets?.map(({ name, available, optionsSchema }) => [
        name,
        available,
        Object.keys((optionsSchema?.['properties'] as object | undefined) ?? {}),
      ]),
      [
        ['docker', true, ['architecture', 'baseImage']],
        ['local', true, []],
      ],
    );
  });
});
