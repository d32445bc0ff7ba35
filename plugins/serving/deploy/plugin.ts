import { definePlugin, PACKAGE_DIRECTORY, type Plugin } from 'lamella/sdk';
import { GRPCInferenceService } from 'lamella/proto/inference/grpc_inference_service';
import { RegistryService } from 'lamella/proto/lamella/model/v1/registry_service';
import { DeployService } from 'lamella/proto/lamella/serving/v1/deploy_service';
import { DeployConfigSchema } from './config.ts';
import { Deployments } from './deployments.ts';
import { deployService } from './service.ts';
import { deployTargets } from './targets.ts';

const plugin: Plugin = definePlugin({
  config: DeployConfigSchema,
  start(host) {
    host.serve(
      DeployService,
      deployService({
        registry: host.call(RegistryService),
        deployments: new Deployments(host.storage),
        targets: deployTargets({
          inference: host.call(GRPCInferenceService),
          packageDirectory: PACKAGE_DIRECTORY,
          config: host.config,
        }),
        clock: host.clock,
      }),
    );
  },
});

export default plugin;
