import { setTimeout as delay } from 'node:timers/promises';
import { type CallContext, type Client, Code, defineConfig } from 'lamella/sdk';
import type { GRPCInferenceService } from 'lamella/proto/inference/grpc_inference_service';
import { ChangeKind } from 'lamella/proto/lamella/serving/v1/deploy_service';
import type { DeployConfig } from './config.ts';
import { DeploymentTooSlow } from './errors.ts';
import type { LiveTarget, Target, TargetVersion } from './target.ts';

/** The inference service of this kernel. Of the spec it uses nothing: the kernel runs already, as it is configured. */
export function localTarget(inference: Client<typeof GRPCInferenceService>, config: DeployConfig): Target {
  return {
    name: 'local',
    description: 'The inference service of this kernel, by the Open Inference Protocol',
    options: defineConfig({}),
    live: new LocalLiveTarget(inference, config),
    async *render({ model, version }) {
      const request = { modelName: model, parameters: { version: { stringParam: version } } };
      yield { path: 'repository-model-load.json', content: `${JSON.stringify(request, undefined, 2)}\n` };
    },
  };
}

class LocalLiveTarget implements LiveTarget {
  readonly #inference: Client<typeof GRPCInferenceService>;
  readonly #config: DeployConfig;

  constructor(inference: Client<typeof GRPCInferenceService>, config: DeployConfig) {
    this.#inference = inference;
    this.#config = config;
  }

  async deploy(version: TargetVersion, context: CallContext): Promise<void> {
    const { readyTimeoutMs, pollIntervalMs } = this.#config;
    const parameterChoice = { case: 'stringParam' as const, value: version.version };
    await this.#inference.repositoryModelLoad(
      { modelName: version.model, parameters: { version: { parameterChoice } } },
      { context, timeoutMs: readyTimeoutMs },
    );
    const endMs = Date.now() + readyTimeoutMs;
    while (!(await this.#isReady(version, context))) {
      if (Date.now() >= endMs) {
        const name = `models/${version.model}/versions/${version.version}`;
        throw new DeploymentTooSlow({ name, timeoutMs: String(readyTimeoutMs), state: 'it is being loaded' });
      }
      await delay(pollIntervalMs, undefined, { signal: context.signal });
    }
  }

  async undeploy({ model }: { readonly model: string }, context: CallContext): Promise<void> {
    try {
      await this.#inference.repositoryModelUnload({ modelName: model }, { context });
    } catch (error) {
      // Gone already is what was asked for.
      if (statusOf(error) !== Code.NOT_FOUND) throw error;
    }
  }

  async diff(version: TargetVersion, context: CallContext): ReturnType<LiveTarget['diff']> {
    const resource = `model ${version.model}`;
    if (await this.#isReady(version, context)) return [{ resource, kind: ChangeKind.NONE, fields: [] }];
    const isOther = await this.#isReady({ ...version, version: '' }, context);
    const fields = [`version: ${isOther ? 'another' : 'none'} -> ${version.version}`];
    return [{ resource, kind: isOther ? ChangeKind.UPDATE : ChangeKind.CREATE, fields }];
  }

  async #isReady({ model, version }: TargetVersion, context: CallContext): Promise<boolean> {
    const { ready } = await this.#inference.modelReady({ name: model, version }, { context });
    return ready;
  }
}

/** Status of a failed call, however it arrived. */
function statusOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}
