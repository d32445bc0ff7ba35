import type { Client } from 'lamella/sdk';
import type { GRPCInferenceService } from 'lamella/proto/inference/grpc_inference_service';
import type { DeployConfig } from './config.ts';
import { dockerTarget } from './docker-target.ts';
import { edgeTarget } from './edge-target.ts';
import { helmTarget } from './helm-target.ts';
import { kserveTarget } from './kserve-target.ts';
import { kubernetesTarget } from './kubernetes-target.ts';
import { localTarget } from './local-target.ts';
import type { Target } from './target.ts';

/** What targets are made from. */
export interface TargetParts {
  /** The inference service of this kernel. */
  readonly inference: Client<typeof GRPCInferenceService>;
  /** Root of the installed package. */
  readonly packageDirectory: string;
  /** Options of the plugin. */
  readonly config: DeployConfig;
}

/** Every place to deploy to. */
export function deployTargets({ inference, packageDirectory, config }: TargetParts): Target[] {
  const bundle = { packageDirectory, extraPackages: config.extraPackages };
  return [
    localTarget(inference, config),
    dockerTarget(bundle),
    kubernetesTarget(),
    helmTarget(),
    kserveTarget(),
    edgeTarget(bundle),
  ];
}
