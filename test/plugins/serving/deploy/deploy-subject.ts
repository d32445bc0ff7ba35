import assert from 'node:assert/strict';
import { create, type JsonObject, type MessageInitShape } from '@bufbuild/protobuf';
import { PACKAGE_DIRECTORY, type ServiceImplementation } from 'lamella/sdk';
import {
  GRPCInferenceService,
  ModelReadyResponseSchema,
} from 'lamella/proto/inference/grpc_inference_service';
import { RegistryService } from 'lamella/proto/lamella/model/v1/registry_service';
import {
  type DeployService,
  DeploymentSpecSchema,
  RenderDeploymentRequestSchema,
} from 'lamella/proto/lamella/serving/v1/deploy_service';
import { Deployments } from '../../../../plugins/serving/deploy/deployments.ts';
import { deployService } from '../../../../plugins/serving/deploy/service.ts';
import { deployTargets } from '../../../../plugins/serving/deploy/targets.ts';
import { clientOf, fakeContext } from '../../../support/fake-host.ts';
import { MemoryStorage } from '../infer-fixture.ts';

/** The ONNX file of every version of the fake registry; targets do not look into it. */
export const MODEL_BYTES: Uint8Array = new Uint8Array(5_000).fill(7);

/** A spec that every target takes. */
export const SPEC: Readonly<Record<'name' | 'namespace' | 'image', string>> = {
  name: 'digits',
  namespace: 'prod',
  image:
    'registry.example.org/digits@sha256:5d3e7a0f3b9b1d8c1c5d0a4a2f3c9b8e7d6f5a4b3c2d1e0f9a8b7c6d5e4f3a2b',
};

/** A file as a caller gets it. */
export interface Rendered {
  readonly path: string;
  readonly sizeBytes: number;
  readonly isText: boolean;
  readonly bytes: Buffer;
}

/** The service with all targets over a registry with one model, version 3. */
export function subject(
  config: Partial<Parameters<typeof deployTargets>[0]['config']> = {},
): ServiceImplementation<typeof DeployService> {
  const registry = clientOf(RegistryService, {
    getVersion: ({ name }: { readonly name: string }) => {
      const version = name.includes('/aliases/') ? 3n : BigInt(name.split('/').at(-1) ?? '');
      return { version: { model: 'digits', version, sizeBytes: BigInt(MODEL_BYTES.length) } };
    },
    async *readArtifact() {
      yield { chunk: MODEL_BYTES.subarray(0, 4_000) };
      yield { chunk: MODEL_BYTES.subarray(4_000) };
    },
  } as Partial<ServiceImplementation<typeof RegistryService>> as ServiceImplementation<
    typeof RegistryService
  >);
  const inference = clientOf(GRPCInferenceService, {
    modelReady: () => create(ModelReadyResponseSchema, { ready: false }),
  } as Partial<ServiceImplementation<typeof GRPCInferenceService>> as ServiceImplementation<
    typeof GRPCInferenceService
  >);
  return deployService({
    registry,
    deployments: new Deployments(new MemoryStorage()),
    targets: deployTargets({
      inference,
      packageDirectory: PACKAGE_DIRECTORY,
      config: { ...DEFAULTS, ...config },
    }),
    clock: { now: () => 1_000 },
  });
}

const DEFAULTS = {
  readyTimeoutMs: 5_000,
  pollIntervalMs: 10,
  extraPackages: '',
  kubeconfig: '',
  kubeContext: '',
};

/** Fields of RenderDeploymentRequest that a test sets. */
export interface RenderInit {
  readonly target: string;
  readonly spec?: MessageInitShape<typeof DeploymentSpecSchema>;
  readonly options?: JsonObject;
  readonly textOnly?: boolean;
}

/** Everything that a target would be given. */
export async function render(
  service: ServiceImplementation<typeof DeployService>,
  request: RenderInit,
): Promise<Rendered[]> {
  const files: { path: string; sizeBytes: number; isText: boolean; chunks: Uint8Array[] }[] = [];
  const message = create(RenderDeploymentRequestSchema, {
    modelVersion: 'models/digits/aliases/champion',
    ...request,
    spec: create(DeploymentSpecSchema, request.spec ?? SPEC),
  });
  for await (const { part } of service.renderDeployment(message, fakeContext())) {
    if (part?.case === 'file') {
      const { path = '', sizeBytes = 0n, isText = false } = part.value;
      files.push({ path, sizeBytes: Number(sizeBytes), isText, chunks: [] });
    } else if (part?.case === 'chunk') {
      const last = files.at(-1);
      assert.ok(last !== undefined, 'content before a file');
      last.chunks.push(part.value);
    }
  }
  return files.map(({ chunks, ...file }) => ({ ...file, bytes: Buffer.concat(chunks) }));
}
