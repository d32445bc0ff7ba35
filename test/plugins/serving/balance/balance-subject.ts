import path from 'node:path';
import { type MessageInitShape, toJson } from '@bufbuild/protobuf';
import { ValueSchema } from '@bufbuild/protobuf/wkt';
import {
  GRPCInferenceService,
  type ModelInferResponse,
} from 'lamella/proto/inference/grpc_inference_service';
import { EventService } from 'lamella/proto/lamella/kernel/v1/event_service';
import {
  BalanceService,
  type Endpoint,
  type Traffic,
  type TrafficSchema,
} from 'lamella/proto/lamella/serving/v1/balance_service';
import type { CallOptions } from 'lamella/sdk';
import { startTestKernel, type TestKernel } from '../../../../sdk/testing/index.ts';
import { ROOT } from '../../../support/echo-plugin.ts';
import { InferenceServer } from './inference-server.ts';
import type { InferInit } from '../infer-subject.ts';

/** Traffic as a plain object. */
export type TrafficInit = MessageInitShape<typeof TrafficSchema>;

/** Plugins that a balancer needs to be of use. */
export const PLUGINS: readonly string[] = ['model/registry', 'serving/infer', 'serving/balance'].map((box) =>
  path.join(ROOT, 'dist', 'plugins', box),
);

/** What differs between subjects. */
export interface SubjectOptions {
  readonly isolation?: 'INLINE' | 'WORKER' | 'PROCESS';
  /** Rights beside the network. */
  readonly rights?: object;
  /** Environment variables of its secrets. */
  readonly secrets?: object;
  readonly environment?: NodeJS.ProcessEnv;
  /** Addresses beside those of its own servers that it may reach. */
  readonly also?: readonly string[];
}

/** A kernel that balances over servers that are none of ours. */
export class BalanceSubject {
  readonly kernel: TestKernel;
  readonly servers: readonly InferenceServer[];

  private constructor(kernel: TestKernel, servers: readonly InferenceServer[]) {
    this.kernel = kernel;
    this.servers = servers;
  }

  /** Starts a kernel and servers of these names, which it may reach. */
  static async start(
    names: readonly string[],
    {
      isolation = 'INLINE',
      rights = {},
      secrets = {},
      environment = process.env,
      also = [],
    }: SubjectOptions = {},
  ): Promise<BalanceSubject> {
    const servers = await Promise.all(names.map((name) => InferenceServer.start(name)));
    const network = [...servers.map(({ address }) => address), ...also];
    const kernel = await startTestKernel({
      plugins: PLUGINS,
      config: {
        plugins: { 'serving.balance': { isolation, capabilities: { network, ...rights }, secrets } },
      },
      environment,
    });
    return new BalanceSubject(kernel, servers);
  }

  /** The server of a name. */
  server(name: string): InferenceServer {
    const found = this.servers.find((server) => server.name === name);
    if (found === undefined) throw new Error(`no server ${name}`);
    return found;
  }

  /** A split over the servers of these names. */
  split(label: string, weight: number, ...names: string[]): NonNullable<TrafficInit['splits']>[number] {
    return { label, weight, endpoints: names.map((name) => ({ address: this.server(name).address })) };
  }

  async set(traffic: TrafficInit): Promise<Traffic> {
    const answer = await this.kernel.call(BalanceService).setTraffic({ traffic });
    return answer.traffic as Traffic;
  }

  async get(model: string): Promise<Traffic> {
    return (await this.kernel.call(BalanceService).getTraffic({ model })).traffic as Traffic;
  }

  async endpoints(model: string): Promise<Endpoint[]> {
    return (await this.kernel.call(BalanceService).listEndpoints({ model })).endpoints;
  }

  infer(request: InferInit, options?: CallOptions): Promise<ModelInferResponse> {
    return this.kernel.call(GRPCInferenceService).modelInfer(request, options);
  }

  /** Name of the server that answers. */
  async who(model: string, request: InferInit = {}, options?: CallOptions): Promise<string> {
    const { rawOutputContents } = await this.infer({ modelName: model, ...request }, options);
    return Buffer.from(rawOutputContents[0] ?? [])
      .subarray(4)
      .toString();
  }

  /** How often each server answers. */
  async whoOften(
    model: string,
    times: number,
    requestOf?: (index: number) => InferInit,
  ): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (let index = 0; index < times; index += 1) {
      const name = await this.who(model, requestOf?.(index));
      counts[name] = (counts[name] ?? 0) + 1;
    }
    return counts;
  }

  /** What was published on a durable topic since the start. */
  async *events(topic: string): AsyncGenerator<unknown> {
    const request = { topics: [topic], fromSequence: 1n };
    for await (const { event } of this.kernel.call(EventService).subscribe(request)) {
      if (event?.payload !== undefined) yield toJson(ValueSchema, event.payload);
    }
  }

  async stop(): Promise<void> {
    await this.kernel.stop();
    for (const server of this.servers) server.stop();
  }
}

/** A parameter that is a text. */
export function text(value: string): {
  readonly parameterChoice: { readonly case: 'stringParam'; readonly value: string };
} {
  return { parameterChoice: { case: 'stringParam', value } };
}

/** A parameter that is true. */
export const YES = { parameterChoice: { case: 'boolParam', value: true } } as const;
