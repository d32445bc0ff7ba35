import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import { GRPCInferenceService } from 'lamella/proto/inference/grpc_inference_service';
import {
  type CreateVersionRequest,
  CreateVersionRequestSchema,
  RegistryService,
} from 'lamella/proto/lamella/model/v1/registry_service';
import {
  ElementType,
  encodeModel,
  finishModel,
  floatTensor,
  GraphBuilder,
  int64Tensor,
  intAttribute,
} from 'lamella/sdk/onnx';
import { readOwnerFile } from '../../kernel/access/owner-token.ts';
import { type Connection, parseAddress, withService } from '../../kernel/cli/connect.ts';

/** The package's root, seen from `dist/test/e2e/`. */
export const ROOT: string = path.resolve(import.meta.dirname, '..', '..', '..');

const START_TIMEOUT_MS = 60_000;
const CLASSES = 10;
const PIXELS = 784;

/**
 * A model of the digits example's shape whose answer can be known: the class with the most light on pixels whose number
 * ends with its digit.
 */
export function lightModel(): Uint8Array {
  const graph = new GraphBuilder();
  const image = graph.input('image', { type: ElementType.UINT8, shape: ['N', 28, 28] });
  const pixels = graph.apply('Cast', [image], { to: intAttribute(ElementType.FLOAT) });
  const flat = graph.apply('Reshape', [pixels, graph.constant(int64Tensor('shape', [2], [-1, PIXELS]))]);
  const weights = Array.from({ length: PIXELS * CLASSES }, (_, index) =>
    Math.floor(index / CLASSES) % CLASSES === index % CLASSES ? 1 / 255 : 0,
  );
  const scores = graph.apply('MatMul', [
    flat,
    graph.constant(floatTensor('weights', [PIXELS, CLASSES], weights)),
  ]);
  graph.output('probabilities', graph.apply('Softmax', [scores]));
  graph.output(
    'label',
    graph.apply('ArgMax', [scores], { axis: intAttribute(-1), keepdims: intAttribute(false) }),
  );
  return encodeModel(finishModel(graph.finish('light')));
}

async function* versionParts(model: string, file: Uint8Array): AsyncGenerator<CreateVersionRequest> {
  yield create(CreateVersionRequestSchema, { part: { case: 'header', value: { model } } });
  yield create(CreateVersionRequestSchema, { part: { case: 'chunk', value: file } });
}

/** A kernel process with the registry and the inference service, in which the model `digits` is loaded. */
export class ServingKernel {
  /** `host:port` of the gRPC listener. */
  readonly grpc: string;
  /** `host:port` of the HTTP listener. */
  readonly http: string;
  readonly #process: ChildProcess;
  readonly #home: string;

  private constructor(process: ChildProcess, home: string, addresses: { grpc: string; http: string }) {
    this.#process = process;
    this.#home = home;
    this.grpc = addresses.grpc;
    this.http = addresses.http;
  }

  /** Starts a kernel on free ports, registers the model and loads it. */
  static async start(): Promise<ServingKernel> {
    const home = await mkdtemp(path.join(tmpdir(), 'lamella-e2e-'));
    const readyFile = path.join(home, 'ready.json');
    const plugins = ['model/registry', 'serving/infer'].map((box) => path.join(ROOT, 'dist', 'plugins', box));
    const ports = ['--grpc-port', '0', '--http-port', '0', '--metrics-port', '0'];
    const main = path.join(ROOT, 'dist', 'kernel', 'cli', 'main.js');
    const child = spawn(
      process.execPath,
      [
        main,
        'start',
        '--home',
        path.join(home, 'kernel'),
        '--ready-file',
        readyFile,
        ...ports,
        '--plugins',
        ...plugins,
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let log = '';
    child.stderr.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-4_000);
    });
    try {
      const kernel = new ServingKernel(child, home, await ready(readyFile, child, () => log));
      await kernel.#loadDigits();
      return kernel;
    } catch (error) {
      child.kill('SIGKILL');
      await rm(home, { recursive: true, force: true });
      throw error;
    }
  }

  /** Process id of the kernel. */
  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Stops the kernel as an operator would, and removes its files. */
  async stop(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const exited = once(this.#process, 'exit');
      this.#process.kill('SIGTERM');
      await exited;
    }
    await rm(this.#home, { recursive: true, force: true });
  }

  /** Ends the kernel with SIGKILL. */
  async kill(): Promise<void> {
    const exited = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exited;
  }

  /** Registers a version of a model and makes it the champion. */
  async register(model: string, file: Uint8Array): Promise<void> {
    await withService(parseAddress(this.grpc), RegistryService, async (registry) => {
      const { version } = await registry.createVersion(versionParts(model, file));
      await registry.setAlias({ name: `models/${model}/aliases/champion`, version: version?.name ?? '' });
    });
  }

  /** Token of who runs the kernel. */
  async ownerToken(): Promise<string> {
    const owner = await readOwnerFile(path.join(this.#home, 'kernel'));
    return owner?.token ?? '';
  }

  async #loadDigits(): Promise<void> {
    await this.register('digits', lightModel());
    // Which models run is for the owner to say.
    await withService(await this.asOwner(), GRPCInferenceService, (inference) =>
      inference.repositoryModelLoad({ modelName: 'digits' }),
    );
  }

  /** The connection of who runs the kernel, for what others may not do. */
  async asOwner(): Promise<Connection> {
    const headers = new Map([['authorization', `Bearer ${await this.ownerToken()}`]]);
    return { target: parseAddress(this.grpc), headers };
  }
}

/** Waits for the ready file, or says what the kernel wrote before it ended. */
async function ready(
  file: string,
  child: ChildProcess,
  log: () => string,
): Promise<{ grpc: string; http: string }> {
  const endMs = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < endMs && child.exitCode === null) {
    const text = await readFile(file, 'utf8').catch(() => undefined);
    if (text !== undefined) return JSON.parse(text) as { grpc: string; http: string };
    await delay(50);
  }
  throw new Error(`The kernel did not start: ${log()}`);
}
