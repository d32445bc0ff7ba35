import { definePlugin, type Plugin } from 'lamella/sdk';
import { GRPCInferenceService } from 'lamella/proto/inference/grpc_inference_service';
import { RegistryService } from 'lamella/proto/lamella/model/v1/registry_service';
import { DeployService } from 'lamella/proto/lamella/serving/v1/deploy_service';
import { DeployConfigSchema } from './config.ts';
import { Deployments } from './deployments.ts';
import { LocalTarget } from './local-target.ts';
import { deployService } from './service.ts';
import { absentTarget } from './target.ts';

const plugin: Plugin = definePlugin({
  config: DeployConfigSchema,
  start(host) {
    host.serve(
      DeployService,
      deployService({
        registry: host.call(RegistryService),
        deployments: new Deployments(host.storage),
        targets: [
          new LocalTarget(host.call(GRPCInferenceService), host.config),
          absentTarget('docker', 'A container on this machine'),
          absentTarget('kubernetes', 'A Deployment and a Service in a cluster'),
          absentTarget('kserve', 'An InferenceService of KServe'),
          absentTarget('edge', 'A bundle for devices without this kernel'),
        ],
        clock: host.clock,
      }),
    );
  },
});

export default plugin;
