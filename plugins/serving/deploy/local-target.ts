import { setTimeout as delay } from 'node:timers/promises';
import type { CallContext, Client } from 'lamella/sdk';
import { Code } from 'lamella/sdk';
import type { GRPCInferenceService } from 'lamella/proto/inference/grpc_inference_service';
import type { DeployConfig } from './config.ts';
import { DeploymentTooSlow } from './errors.ts';
import type { Target, TargetVersion } from './target.ts';

/** The inference service of this kernel. */
export class LocalTarget implements Target {
  readonly name: string = 'local';
  readonly description: string = 'The inference service of this kernel, by the Open Inference Protocol';
  readonly unavailable: undefined = undefined;
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
    while (!(await this.isReady(version, context))) {
      if (Date.now() >= endMs) {
        const name = `models/${version.model}/versions/${version.version}`;
        throw new DeploymentTooSlow({ name, timeoutMs: String(readyTimeoutMs) });
      }
      await delay(pollIntervalMs, undefined, { signal: context.signal });
    }
  }

  async undeploy(model: string, context: CallContext): Promise<void> {
    try {
      await this.#inference.repositoryModelUnload({ modelName: model }, { context });
    } catch (error) {
      // Gone already is what was asked for.
      if (statusOf(error) !== Code.NOT_FOUND) throw error;
    }
  }

  async isReady({ model, version }: TargetVersion, context: CallContext): Promise<boolean> {
    const { ready } = await this.#inference.modelReady({ name: model, version }, { context });
    return ready;
  }
}

/** Status of a failed call, however it arrived. */
function statusOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}
