import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ROOT } from '../harness/kernel-server.ts';
import type { Models } from './models.ts';
import type { ServerCommand } from './server.ts';
import { PEERS, type Workspace } from './workspace.ts';

/** Ports of a server. */
export interface Ports {
  readonly grpc: number;
  readonly http: number;
  readonly metrics: number;
}

/** What a server is made from. */
export interface PeerParts {
  readonly workspace: Workspace;
  readonly models: Models;
  readonly ports: Ports;
}

/** A server that takes part. */
export interface Peer {
  readonly name: string;
  /** What it is, for people who read the figures. */
  readonly what: string;
  /** True when it speaks ModelInfer over gRPC. */
  readonly hasGrpc: boolean;
  /** Path of the model over HTTP; `undefined` when that is not measured. */
  readonly httpPath: string | undefined;
  /** Calls at once at which it is measured. */
  readonly concurrencies: readonly number[];
  /** Installs it, the first time, and says how it is started. @throws Error when it cannot be had here */
  prepare(parts: PeerParts): Promise<ServerCommand>;
}

const INFER_PATH = '/v2/models/linear/infer';
const ALL = [1, 16, 64];
const HIGH = [64];

function python(file: string, environment: string, ports: readonly number[]): readonly string[] {
  return [path.join(environment, 'bin/python'), path.join(PEERS, file), ...ports.map(String)];
}

const lamella: Peer = {
  name: 'lamella',
  what: 'this program, models in a process of their own',
  hasGrpc: true,
  httpPath: INFER_PATH,
  concurrencies: ALL,
  async prepare({ workspace, models, ports }) {
    const home = await workspace.fresh('lamella');
    const infer = { modelRepositories: [models.repository], modelControlMode: 'none' };
    const config = { plugins: { 'serving.infer': { config: infer } } };
    await writeFile(path.join(home, 'config.json'), JSON.stringify(config));
    const plugins = ['model/registry', 'serving/infer'].map((box) => path.join(ROOT, 'dist/plugins', box));
    const listen = ['--grpc-port', ports.grpc, '--http-port', ports.http, '--metrics-port', ports.metrics];
    const start = [path.join(ROOT, 'dist/bin/lamella.js'), 'start', '--log-level', 'error', '--home', home];
    return { command: [process.execPath, ...start, ...listen.map(String), '--plugins', ...plugins] };
  },
};

const bare: Peer = {
  name: 'bare',
  what: 'grpc-js + proto-loader and node:http + onnxruntime-node in one process: no checks, no batches',
  hasGrpc: true,
  httpPath: INFER_PATH,
  concurrencies: ALL,
  prepare: async ({ models, ports }) => {
    const entry = path.join(ROOT, 'dist/benchmarks/serving/bare-server.js');
    return { command: [process.execPath, entry, models.repository, String(ports.grpc), String(ports.http)] };
  },
};

const mlserver: Peer = {
  name: 'mlserver',
  what: 'MLServer with a runtime of its own, parallel_workers 0, which is its fastest',
  hasGrpc: true,
  httpPath: INFER_PATH,
  concurrencies: HIGH,
  async prepare({ workspace, models, ports }) {
    const environment = await workspace.python('mlserver', ['mlserver', 'onnxruntime', 'uvloop<0.22']);
    const folder = await workspace.fresh('mlserver');
    await mkdir(path.join(folder, 'linear'));
    const model = { name: 'linear', implementation: 'mlserver_runtime.OnnxModel' };
    await writeFile(path.join(folder, 'linear/model-settings.json'), JSON.stringify(model));
    const settings = {
      debug: false,
      host: '127.0.0.1',
      http_port: ports.http,
      grpc_port: ports.grpc,
      metrics_port: ports.metrics,
      parallel_workers: 0,
    };
    await writeFile(path.join(folder, 'settings.json'), JSON.stringify(settings));
    return {
      command: [path.join(environment, 'bin/mlserver'), 'start', folder],
      environment: { BENCH_MODEL: models.linear, PYTHONPATH: PEERS },
    };
  },
};

const kserve: Peer = {
  name: 'kserve',
  what: "KServe's Python server, without its log of requests",
  hasGrpc: true,
  httpPath: INFER_PATH,
  concurrencies: HIGH,
  async prepare({ workspace, models, ports }) {
    const environment = await workspace.python('kserve', ['kserve', 'onnxruntime']);
    const flags = ['--http_port', ports.http, '--grpc_port', ports.grpc, '--enable_latency_logging', 'false'];
    return {
      command: [...python('kserve_server.py', environment, []), ...flags.map(String)],
      environment: { BENCH_MODEL: models.linear },
    };
  },
};

const litserve: Peer = {
  name: 'litserve',
  what: 'LitServe, one worker, REST only',
  hasGrpc: false,
  httpPath: '/predict',
  concurrencies: HIGH,
  async prepare({ workspace, models, ports }) {
    const environment = await workspace.python('litserve', ['litserve', 'onnxruntime', 'numpy']);
    return {
      command: python('litserve_server.py', environment, [ports.http]),
      environment: { BENCH_MODEL: models.linear },
    };
  },
};

const bentoml: Peer = {
  name: 'bentoml',
  what: 'BentoML, one worker, REST only',
  hasGrpc: false,
  httpPath: '/infer',
  concurrencies: HIGH,
  async prepare({ workspace, models, ports }) {
    const environment = await workspace.python('bentoml', ['bentoml', 'onnxruntime', 'numpy']);
    const serve = ['serve', 'bento_service:Linear', '--port', String(ports.http), '--host', '127.0.0.1'];
    return {
      command: [path.join(environment, 'bin/bentoml'), ...serve, '--working-dir', PEERS],
      environment: {
        BENCH_MODEL: models.linear,
        BENTOML_DO_NOT_TRACK: 'True',
        BENTOML_HOME: await workspace.fresh('bentoml'),
      },
    };
  },
};

const ray: Peer = {
  name: 'ray',
  what: 'Ray Serve, one replica, REST only',
  hasGrpc: false,
  httpPath: INFER_PATH,
  concurrencies: HIGH,
  async prepare({ workspace, models, ports }) {
    const environment = await workspace.python('ray', ['ray[serve]', 'onnxruntime', 'grpcio-tools']);
    return {
      command: python('ray_server.py', environment, [ports.http]),
      environment: { BENCH_MODEL: models.linear, RAY_USAGE_STATS_ENABLED: '0' },
    };
  },
};

/** The environment of Triton, which the wheel of PyTriton carries. */
async function tritonEnvironment(
  workspace: Workspace,
): Promise<{ readonly folder: string; readonly libraries: string; readonly triton: string }> {
  const folder = await workspace.python('pytriton', ['nvidia-pytriton', 'onnxruntime']);
  const package_ = await workspace.packageFolder(folder, 'pytriton');
  const code = "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))";
  const python3 = execFileSync(path.join(folder, 'bin/python'), ['-c', code], { encoding: 'utf8' }).trim();
  const libraries = [path.join(path.dirname(package_), 'nvidia_pytriton.libs'), python3].join(':');
  return { folder, libraries, triton: path.join(package_, 'tritonserver') };
}

const pytriton: Peer = {
  name: 'pytriton',
  what: 'PyTriton: Triton before a function in Python, dynamic batching without delay',
  hasGrpc: true,
  httpPath: undefined,
  concurrencies: HIGH,
  async prepare({ workspace, models, ports }) {
    const { folder, libraries } = await tritonEnvironment(workspace);
    return {
      command: python('pytriton_server.py', folder, [ports.grpc, ports.http, ports.metrics]),
      environment: { BENCH_MODEL: models.linear, LD_LIBRARY_PATH: libraries },
    };
  },
};

const CONFIG = `backend: "python"
max_batch_size: 64
input [{ name: "x" data_type: TYPE_FP32 dims: [784] }]
output [{ name: "y" data_type: TYPE_FP32 dims: [10] }]
instance_group [{ count: 1 kind: KIND_CPU }]
dynamic_batching { }
`;

const triton: Peer = {
  name: 'triton',
  what: "Triton of PyTriton's wheel, Python backend, dynamic batching",
  hasGrpc: true,
  httpPath: INFER_PATH,
  concurrencies: ALL,
  async prepare({ workspace, models, ports }) {
    const environment = await tritonEnvironment(workspace);
    const folder = await workspace.fresh('triton');
    await mkdir(path.join(folder, 'models/linear/1'), { recursive: true });
    await mkdir(path.join(folder, 'backends/python'), { recursive: true });
    await writeFile(path.join(folder, 'models/linear/config.pbtxt'), CONFIG);
    await copyFile(path.join(PEERS, 'triton_model.py'), path.join(folder, 'models/linear/1/model.py'));
    // The stub for this version of Python must lie beside the backend.
    const backend = path.join(environment.triton, 'backends/python');
    const version = execFileSync(path.join(environment.folder, 'bin/python'), ['--version'], {
      encoding: 'utf8',
    });
    const stub = path.join(environment.triton, 'python_backend_stubs', /3\.\d+/.exec(version)?.[0] ?? '');
    for (const from of [backend, stub]) {
      for (const file of await readdir(from, { withFileTypes: true })) {
        if (file.isFile())
          await copyFile(path.join(from, file.name), path.join(folder, 'backends/python', file.name));
      }
    }
    const packages = path.dirname(path.dirname(environment.triton));
    return {
      command: [
        path.join(environment.triton, 'bin/tritonserver'),
        `--model-repository=${path.join(folder, 'models')}`,
        `--grpc-port=${ports.grpc}`,
        `--http-port=${ports.http}`,
        `--metrics-port=${ports.metrics}`,
        `--backend-directory=${path.join(folder, 'backends')}`,
        `--cache-directory=${path.join(environment.triton, 'caches')}`,
        '--log-info=0',
      ],
      environment: {
        BENCH_MODEL: models.linear,
        LD_LIBRARY_PATH: environment.libraries,
        PYTHONPATH: packages,
        PATH: `${path.join(environment.folder, 'bin')}:${process.env['PATH'] ?? ''}`,
      },
    };
  },
};

/** All that take part; ours first. */
export const ALL_PEERS: readonly Peer[] = [
  lamella,
  bare,
  triton,
  pytriton,
  mlserver,
  kserve,
  litserve,
  bentoml,
  ray,
];
