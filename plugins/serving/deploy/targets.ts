import type { Client } from 'lamella/sdk';
import type { GRPCInferenceService } from 'lamella/proto/inference/grpc_inference_service';
import type { DeployConfig } from './config.ts';
import { dockerTarget } from './docker-target.ts';
import { edgeTarget } from './edge-target.ts';
import { helmTarget } from './helm-target.ts';
import { kserveTarget } from './kserve-target.ts';
import { kubernetesTarget } from './kubernetes-target.ts';
import { KubeCluster } from './kube-cluster.ts';
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
  const cluster = new KubeCluster(config);
  return [
    localTarget(inference, config),
    dockerTarget(bundle),
    kubernetesTarget(cluster, config),
    helmTarget(),
    kserveTarget(cluster, config),
    edgeTarget(bundle),
  ];
}
