import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import path from 'node:path';
import { GRPCInferenceService } from 'lamella/proto/inference/grpc_inference_service';
import { parseAddress, withService } from '../../../kernel/cli/connect.ts';
import { ROOT } from '../serving-kernel.ts';
import { runTool } from '../tool.ts';
import { pythonEnvironment } from './python-environment.ts';

/** Triton takes its time to unpack; a machine that is busy doubles it. */
const START_TIMEOUT_MS = 90_000;

/** Python of an environment in which NVIDIA's wheel has brought Triton along. */
export async function pythonWithTriton(): Promise<string> {
  return pythonEnvironment('pytriton-0.7.0', ['nvidia-pytriton==0.7.0'], 'import pytriton.triton');
}

/** Python of an environment with KServe's server. */
export async function pythonWithKServe(): Promise<string> {
  return pythonEnvironment('kserve-0.21.0', ['kserve==0.21.0'], 'import kserve');
}

/** A server that others wrote, with the model `double` of other_servers.py, in a process group of its own. */
export class OtherServer {
  readonly grpc: string;
  readonly #python: string;
  readonly #parameters: readonly string[];
  #process: ChildProcess | undefined;

  private constructor(python: string, kind: 'triton' | 'kserve', ports: readonly number[]) {
    this.#python = python;
    this.grpc = `127.0.0.1:${ports[0] ?? 0}`;
    this.#parameters = [kind, ...ports.map(String)];
  }

  /** Starts it on free ports and waits until its model is ready. */
  static async start(python: string, kind: 'triton' | 'kserve'): Promise<OtherServer> {
    const ports = await freePorts(kind === 'triton' ? 3 : 2);
    const server = new OtherServer(python, kind, ports);
    await server.start();
    return server;
  }

  /** Starts it again on the ports that it had. */
  async start(): Promise<void> {
    const file = path.join(ROOT, 'test/e2e/python/other_servers.py');
    const environment = { ...process.env, LD_LIBRARY_PATH: await librariesOf(this.#python) };
    const child = spawn(this.#python, [file, ...this.#parameters], {
      detached: true,
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process = child;
    let log = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        log = (log + chunk.toString()).slice(-4_000);
      });
    }
    for (const endMs = Date.now() + START_TIMEOUT_MS; Date.now() < endMs && child.exitCode === null;) {
      if (await this.#isReady()) return;
      await new Promise<void>((resolve) => {
        setTimeout(resolve, 100);
      });
    }
    await this.kill();
    throw new Error(`The server did not start: ${log}`);
  }

  /** Ends it and all that it started, with SIGKILL. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    process.kill(-child.pid, 'SIGKILL');
    await exited;
  }

  async #isReady(): Promise<boolean> {
    try {
      return await withService(parseAddress(this.grpc), GRPCInferenceService, async (inference) => {
        const { ready } = await inference.modelReady({ name: 'double' }, { timeoutMs: 2_000 });
        return ready;
      });
    } catch {
      // It does not listen yet, or has no model yet.
      return false;
    }
  }
}

/** Where a server of Python's world finds its shared libraries: beside its package, and the interpreter's own. */
async function librariesOf(python: string): Promise<string> {
  const code =
    "import sysconfig; print(sysconfig.get_path('purelib') + '/nvidia_pytriton.libs:' + sysconfig.get_config_var('LIBDIR'))";
  return (await runTool(python, ['-c', code])).trim();
}

async function freePorts(count: number): Promise<number[]> {
  const listeners = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  const ports: number[] = [];
  for (const listener of listeners) {
    if (!listener.listening) await once(listener, 'listening');
    const address = listener.address();
    if (address !== null && typeof address === 'object') ports.push(address.port);
  }
  for (const listener of listeners) {
    listener.close();
    await once(listener, 'close');
  }
  return ports;
}
