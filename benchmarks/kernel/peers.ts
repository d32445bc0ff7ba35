import path from 'node:path';
import { type ChildServer, startChildServer } from '../harness/child-server.ts';
import { type Figures, inTurns, type Named } from '../harness/in-turns.ts';
import { ECHO, reload, ROOT, startKernel } from '../harness/kernel-server.ts';
import { pinApart, unpin } from '../harness/process-cpu.ts';
import { median, round } from '../harness/statistics.ts';
import type { GoPeers } from './go-peers.ts';
import { PAYLOAD_BYTES, SAY } from './echo-request.ts';
import { againstGoal, againstPeer, type Part } from './verdict.ts';

const TURNS = { rounds: 9, stretchMs: 1_000 };
const CONCURRENCIES: readonly number[] = [1, 16, 64];
const PROCESS_STARTS = 9;

/** An echo through the kernel, on bare grpc-js and on grpc-go. */
export async function echoBenchmark(go: GoPeers | undefined): Promise<Part> {
  const bare = path.join(ROOT, 'dist/benchmarks/rpc/bare-server.js');
  const rows: Figures[] = [];
  await withServers(
    [
      ['lamella, inline', () => startKernel([ECHO])],
      ['bare grpc-js', () => startChildServer((ready) => [bare, ready])],
      ...(go === undefined ? [] : [['grpc-go', () => go.startEcho()] as const]),
    ],
    async (servers) => {
      for (const concurrency of CONCURRENCIES) {
        rows.push(...(await inTurns(servers, { ...SAY, concurrency }, TURNS)));
      }
    },
  );
  return {
    what: `unary echo of ${PAYLOAD_BYTES} bytes, closed loop over loopback; ratios to the first`,
    figures: rows,
    verdict: rows
      .filter(({ name }) => !name.startsWith('lamella'))
      .map((row) => againstPeer(`CPU of an echo, ${row.concurrency} at once`, row.name, row.cpuRatio)),
  };
}

/** The same echo in the kernel, in a worker, in a process, and behind a host of hashicorp/go-plugin. */
export async function isolationBenchmark(go: GoPeers | undefined): Promise<Part> {
  let rows: Figures[] = [];
  const starts: number[] = [];
  await withServers(
    [
      ['lamella, inline', () => startKernel([ECHO])],
      ['lamella, worker', () => startKernel([ECHO], 'WORKER')],
      ['lamella, process', () => startKernel([ECHO], 'PROCESS')],
      ...(go === undefined
        ? []
        : [['grpc-go', () => go.startEcho()] as const, ['go-plugin host', () => go.startHost()] as const]),
    ],
    async (servers) => {
      rows = await inTurns(servers, { ...SAY, concurrency: 16 }, TURNS);
      const [, , process] = servers;
      for (let index = 0; process !== undefined && index < PROCESS_STARTS; index += 1) {
        const startMs = performance.now();
        await reload(process, 'example.echo');
        starts.push(performance.now() - startMs);
      }
    },
  );
  const cpuOf = (name: string): number => rows.find((row) => row.name === name)?.cpuUs ?? Number.NaN;
  const processOverInline = round(cpuOf('lamella, process') / cpuOf('lamella, inline'), 2);
  const ownMs = round(median(starts));
  const verdict = [
    againstGoal('CPU of a call to a process plugin over an inline one', processOverInline, 1.9),
  ];
  let peerMs: number | undefined;
  if (go !== undefined) {
    peerMs = round(median(await go.pluginStarts(PROCESS_STARTS)));
    const hostRatio = round(cpuOf('go-plugin host') / cpuOf('lamella, process'), 2);
    verdict.push(
      againstPeer("CPU of the host's process for a call to a plugin process", 'go-plugin', hostRatio),
      againstPeer(
        'start of a plugin process, a reload against a spawn',
        'go-plugin',
        round(peerMs / ownMs, 2),
      ),
    );
  }
  return {
    what: `unary echo of ${PAYLOAD_BYTES} bytes, 16 at once; CPU of the host's process for a call`,
    figures: {
      rows,
      processOverInline,
      hostOverGrpcGo: round(cpuOf('go-plugin host') / cpuOf('grpc-go'), 2),
      startMs: { lamella: ownMs, goPlugin: peerMs },
    },
    verdict,
  };
}

/** Starts servers, each with its name, on one core, and stops them whatever happens. */
async function withServers(
  starts: readonly (readonly [string, () => Promise<ChildServer>])[],
  use: (servers: readonly (Named & ChildServer)[]) => Promise<void>,
): Promise<void> {
  const servers: (Named & ChildServer)[] = [];
  try {
    for (const [name, start] of starts) servers.push({ name, ...(await start()) });
    pinApart(servers.map(({ pid }) => pid));
    await use(servers);
  } finally {
    unpin();
    for (const server of servers) await server.stop();
  }
}
