import { cpus } from 'node:os';
import { LoadClient, type LoadOptions, type LoadTarget } from './serving/load-client.ts';
import { type Models, writeModels } from './serving/models.ts';
import { overload, type Overload } from './serving/overload.ts';
import { ALL_PEERS, type Peer, type Ports } from './serving/peers.ts';
import { freePort, type RunningServer, type ServerCommand, startServer } from './serving/server.ts';
import { Table } from './serving/table.ts';
import { OPEN_5000, verdictOf } from './serving/verdict.ts';
import { Workspace } from './serving/workspace.ts';

const GRPC_PATH = '/inference.GRPCInferenceService/ModelInfer';
/** The seconds after its start in which a server is still being compiled. */
const FIRST_WARM_UP_MS = 3_000;

interface Settings {
  readonly rounds: number;
  readonly durationMs: number;
  readonly peers: RegExp;
  readonly hasOverload: boolean;
}

/** What may be changed for a longer or shorter run. */
function settings(): Settings {
  const { env } = process;
  return {
    rounds: Number(env['LAMELLA_BENCH_ROUNDS'] ?? 3),
    durationMs: Number(env['LAMELLA_BENCH_SECONDS'] ?? 2) * 1_000,
    peers: new RegExp(env['LAMELLA_BENCH_PEERS'] ?? '.'),
    hasOverload: env['LAMELLA_BENCH_OVERLOAD'] !== '0',
  };
}

/** A server that can be started. */
interface Contestant {
  readonly peer: Peer;
  readonly ports: Ports;
  readonly command: ServerCommand;
}

interface Bench {
  readonly client: LoadClient;
  readonly models: Models;
  readonly table: Table;
  readonly settings: Settings;
}

/** The same model behind our inference service and behind other servers: same client, same core, rounds in turns. */
export async function servingBenchmark(): Promise<object> {
  const workspace = await Workspace.open();
  const client = new LoadClient(await workspace.buildLoadProgram());
  const bench: Bench = {
    client,
    models: await writeModels(workspace),
    table: new Table(),
    settings: settings(),
  };
  const { contestants, left } = await prepareAll(bench, workspace);
  const readyMs: Record<string, number> = {};
  let overloaded: Overload | undefined;
  for (let round = 0; round < bench.settings.rounds; round += 1) {
    for (const contestant of contestants) {
      await withServer(bench, contestant, async (server) => {
        readyMs[contestant.peer.name] = Math.min(readyMs[contestant.peer.name] ?? Infinity, server.readyMs);
        await measure(bench, contestant, server);
        const isLast = round === bench.settings.rounds - 1;
        if (!isLast || !bench.settings.hasOverload || contestant.peer.name !== 'lamella') return;
        overloaded = await overload(client, grpcTarget(bench, contestant, 'raw'), server.pid);
      });
    }
  }
  const verdict = [...verdictOf(bench.table), ...(overloaded?.verdict ?? [])];
  for (const sentence of verdict) console.error(sentence);
  return {
    what: 'ModelInfer of 784 FP32 values through a linear model of 10 classes, ORT with 1 thread; medians of the rounds',
    machine: { cores: cpus().length, cpu: cpus()[0]?.model ?? '', node: process.version },
    pinned: 'servers with all below them on core 0, client on core 1',
    peers: Object.fromEntries(contestants.map(({ peer }) => [peer.name, peer.what])),
    left,
    readyMs,
    rows: bench.table.rows(),
    overload: overloaded,
    verdict,
  };
}

async function prepareAll(
  { models, settings: { peers } }: Bench,
  workspace: Workspace,
): Promise<{ contestants: Contestant[]; left: Record<string, string> }> {
  const contestants: Contestant[] = [];
  const left: Record<string, string> = {};
  for (const peer of ALL_PEERS.filter(({ name }) => peers.test(name))) {
    try {
      const ports = { grpc: await freePort(), http: await freePort(), metrics: await freePort() };
      contestants.push({ peer, ports, command: await peer.prepare({ workspace, models, ports }) });
    } catch (error) {
      left[peer.name] = (error as Error).message;
      console.error(`${peer.name} is left out: ${(error as Error).message}`);
    }
  }
  return { contestants, left };
}

/** Starts a server for a while; one that does not start is told of and left out of the round. */
async function withServer(
  bench: Bench,
  contestant: Contestant,
  use: (server: RunningServer) => Promise<void>,
): Promise<void> {
  const { peer, command } = contestant;
  const probe = peer.hasGrpc ? grpcTarget(bench, contestant, 'raw') : restTarget(bench, contestant);
  let server: RunningServer | undefined;
  try {
    server = await startServer(command, probe, bench.client);
    await use(server);
  } catch (error) {
    console.error(`${peer.name}: ${(error as Error).message}`);
  } finally {
    await server?.stop();
  }
}

/** All that is measured of one server in one round. */
async function measure(bench: Bench, contestant: Contestant, { pid }: RunningServer): Promise<void> {
  const { peer } = contestant;
  const { durationMs } = bench.settings;
  const run = async (load: string, options: Omit<LoadOptions, 'pid' | 'durationMs'>): Promise<void> => {
    const figures = await bench.client.run({ ...options, pid, durationMs });
    bench.table.add({ peer: peer.name, load }, figures);
    const { perSecond, p99Ms, cpuUs, failed } = figures;
    console.error(`${peer.name}, ${load}: ${perSecond}/s, p99 ${p99Ms} ms, ${cpuUs} us, ${failed} failed`);
  };
  if (peer.hasGrpc) {
    const target = grpcTarget(bench, contestant, 'raw');
    await bench.client.run({ target, pid, calls: 64, durationMs: FIRST_WARM_UP_MS });
    for (const calls of peer.concurrencies) await run(`grpc raw, ${calls} at once`, { target, calls });
  }
  if (peer.httpPath !== undefined) {
    const target = restTarget(bench, contestant);
    await bench.client.run({ target, pid, calls: 64, durationMs: FIRST_WARM_UP_MS / 2 });
    for (const calls of peer.concurrencies) await run(`rest json, ${calls} at once`, { target, calls });
  }
  if (peer.name === 'lamella' || peer.name === 'bare') {
    await run('grpc typed, 64 at once', { target: grpcTarget(bench, contestant, 'typed'), calls: 64 });
    await run('grpc image of 602 KB, 16 at once', {
      target: grpcTarget(bench, contestant, 'image'),
      calls: 16,
    });
  }
  if (peer.hasGrpc && peer.concurrencies.length > 1) {
    await run(OPEN_5000, { target: grpcTarget(bench, contestant, 'raw'), rate: 5_000, connections: 8 });
  }
}

function grpcTarget(
  { models }: Bench,
  { ports }: Contestant,
  request: 'raw' | 'typed' | 'image',
): LoadTarget {
  const address = `127.0.0.1:${ports.grpc}`;
  return { protocol: 'grpc', address, path: GRPC_PATH, request: models.requests[request] };
}

function restTarget({ models }: Bench, { peer, ports }: Contestant): LoadTarget {
  const address = `127.0.0.1:${ports.http}`;
  return { protocol: 'http', address, path: peer.httpPath ?? '/', request: models.requests.json };
}
