import { round } from '../harness/statistics.ts';
import type { Table } from './table.ts';

/** What we want to be against a server. */
interface Goal {
  readonly peer: string;
  readonly load: string;
  /** Our calls a second over its, at least; its processor time for a call over ours likewise. */
  readonly atLeast: number;
  /** The load of the server, where it does not speak ours. */
  readonly peerLoad?: string;
}

const GRPC = 'grpc raw, 64 at once';
const REST = 'rest json, 64 at once';

const GOALS: readonly Goal[] = [
  { peer: 'bare', load: GRPC, atLeast: 1 },
  { peer: 'triton', load: GRPC, atLeast: 0.8 },
  { peer: 'pytriton', load: GRPC, atLeast: 3 },
  { peer: 'mlserver', load: GRPC, atLeast: 6 },
  { peer: 'kserve', load: GRPC, atLeast: 6 },
  { peer: 'litserve', load: GRPC, atLeast: 10, peerLoad: REST },
  { peer: 'bentoml', load: GRPC, atLeast: 10, peerLoad: REST },
  { peer: 'ray', load: GRPC, atLeast: 10, peerLoad: REST },
  { peer: 'bare', load: REST, atLeast: 0.8 },
];

/** Sentences that hold the figures against the goals. */
export function verdictOf(table: Table): string[] {
  const sentences = GOALS.flatMap((goal) => goalSentences(table, goal));
  const most = (what: string, limit: number, value: number | undefined): string[] =>
    value === undefined
      ? []
      : [`${what}: ${value}, goal ${limit} at most: ${value <= limit ? 'kept' : 'MISSED'}`];
  const cpu = (peer: string, load: string): number | undefined => table.row(peer, load)?.cpuUs;
  const ratio = (over: number | undefined, under: number | undefined): number | undefined =>
    over === undefined || under === undefined ? undefined : round(over / under, 2);
  const p99 = (peer: string): number | undefined => table.row(peer, OPEN_5000)?.p99Ms;
  const images = 'grpc image of 602 KB, 16 at once';
  const typed = ratio(cpu('lamella', 'grpc typed, 64 at once'), cpu('lamella', GRPC));
  return [
    ...sentences,
    ...most('CPU of an image of 602 KB over bare', 1.3, ratio(cpu('lamella', images), cpu('bare', images))),
    ...most('CPU of typed contents over raw ones', 2, typed),
    ...most('p99 at 5,000 calls a second over Triton', 1, ratio(p99('lamella'), p99('triton'))),
  ];
}

/** Load of the open loop in which tails are compared. */
export const OPEN_5000 = 'grpc raw, 5000 a second';

function goalSentences(table: Table, { peer, load, atLeast, peerLoad = load }: Goal): string[] {
  const [ours, theirs] = [table.row('lamella', load), table.row(peer, peerLoad)];
  if (ours === undefined || theirs === undefined) return [];
  const against = `${load} against ${peer}${peerLoad === load ? '' : ` with ${peerLoad}`}`;
  const told = (what: string, value: number): string =>
    `${what}, ${against}: ${value}, goal ${atLeast} at least: ${value >= atLeast ? 'kept' : 'MISSED'}`;
  return [
    told('calls a second', round(ours.perSecond / theirs.perSecond, 2)),
    told('CPU for a call', round(theirs.cpuUs / ours.cpuUs, 2)),
  ];
}
