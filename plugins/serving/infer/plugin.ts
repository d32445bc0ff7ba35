import { definePlugin, type Host, type Plugin } from 'lamella/sdk';
import { GRPCInferenceService } from 'lamella/proto/inference/grpc_inference_service';
import { SampleService } from 'lamella/proto/lamella/serving/v1/sample_service';
import { BalancedNames } from './balanced-names.ts';
import { balancedService } from './balanced-service.ts';
import { InferConfigSchema } from './config.ts';
import { inferCodecs } from './infer-codec.ts';
import { MachineMetrics } from './machine-metrics.ts';
import { ModelRepository } from './repository.ts';
import { restHandler } from './rest.ts';
import { sampleService } from './sample-service.ts';
import { inferenceService } from './service.ts';
import { SharedMemory } from './shared-memory.ts';

const plugin: Plugin = definePlugin({
  config: InferConfigSchema,
  async start(host) {
    host.own(new MachineMetrics(host.metrics));
    const repository = host.own(new ModelRepository(host));
    // Before the instance takes traffic, so that an upgrade of this plugin loses no call.
    await repository.restore();
    const server = { name: host.config.serverName, version: host.version };
    const memory = host.own(new SharedMemory(host.config.allowSharedMemory));
    const names = new BalancedNames(host as Host);
    const service = balancedService(inferenceService(repository, server, memory), names);
    host.serve(GRPCInferenceService, service, inferCodecs);
    names.start();
    host.serve(SampleService, sampleService(repository.observer.sampler));
    host.serveHttp(restHandler(repository, server, memory));
  },
});

export default plugin;
