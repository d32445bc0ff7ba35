import assert from 'node:assert/strict';
import * as grpc from '@grpc/grpc-js';
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { SayResponseSchema } from '../../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import type { Balancer } from '../../../kernel/fleet/balancer.ts';
import { LoadWeight, type WeightRules } from '../../../kernel/fleet/load-weight.ts';
import { type Choice, WeightedTurns } from '../../../kernel/fleet/picker.ts';
import { weightRules } from '../../../kernel/fleet/remote-settings.ts';
import { MetricsRegistry } from '../../../kernel/metrics.ts';
import { OrcaLoadReportSchema } from '../../../proto/gen/xds/data/orca/v3/orca_load_report_pb.ts';
import { type Answer, bareEcho } from '../../support/bare-echo.ts';
import { openBalancer } from './open-balancer.ts';

const TRAILER = 'endpoint-load-metrics-bin';
const FORMAT = 'endpoint-load-metrics-format';
const RULES: WeightRules = { blackoutMs: 10_000, expirationMs: 180_000, errorPenalty: 1 };

type Figures = MessageInitShape<typeof OrcaLoadReportSchema>;

function packed(figures: Figures): Uint8Array {
  return toBinary(OrcaLoadReportSchema, create(OrcaLoadReportSchema, figures));
}

describe('the weight of an address', () => {
  let nowMs = 0;
  let weight: LoadWeight;

  beforeEach(() => {
    nowMs = 1_000;
    weight = new LoadWeight(RULES, () => nowMs);
  });

  const report = (figures: Figures): void => weight.report(create(OrcaLoadReportSchema, figures));
  /** The weight by a report that is past its first ten seconds. */
  const after = (figures: Figures, rules: WeightRules = RULES): number => {
    weight = new LoadWeight({ ...rules, blackoutMs: 0 }, () => nowMs);
    report(figures);
    return weight.value;
  };

  it('is calls a second by utilization, that of the application before that of the processor', () => {
    assert.equal(after({ rpsFractional: 100, cpuUtilization: 0.5 }), 200);
    assert.equal(after({ rpsFractional: 100, cpuUtilization: 0.5, applicationUtilization: 0.25 }), 400);
    // More calls than may run at once.
    assert.equal(after({ rpsFractional: 100, applicationUtilization: 2 }), 50);
  });

  it('is lower for errors, as much as their penalty says', () => {
    const failing = { rpsFractional: 100, cpuUtilization: 0.5, eps: 50 };
    assert.equal(after(failing), 100);
    assert.equal(after(failing, { ...RULES, errorPenalty: 0 }), 200);
    assert.equal(after(failing, { ...RULES, errorPenalty: 3 }), 50);
  });

  it('is not known without calls or utilization, and keeps what was said before', () => {
    for (const figures of [
      { cpuUtilization: 0.5 },
      { rpsFractional: 100 },
      { rpsFractional: -1, cpuUtilization: 1 },
    ]) {
      assert.equal(after(figures), 0);
    }
    assert.equal(after({ rpsFractional: 100, cpuUtilization: Number.NaN }), 0);
    assert.equal(after({ rpsFractional: 100, cpuUtilization: 1 }), 100);
    report({ rpsFractional: 0, cpuUtilization: 1 });
    assert.equal(weight.value, 100);
  });

  it('does not count while the address warms up, and then at once', () => {
    report({ rpsFractional: 10, cpuUtilization: 1 });
    nowMs += 9_999;
    report({ rpsFractional: 100, cpuUtilization: 1 });
    assert.equal(weight.value, 0);
    nowMs += 1;
    assert.equal(weight.value, 100);
  });

  it('is forgotten three minutes after the last report; the next one begins anew', () => {
    report({ rpsFractional: 100, cpuUtilization: 1 });
    nowMs += 179_999;
    assert.equal(weight.value, 100);
    nowMs += 1;
    assert.equal(weight.value, 0);
    report({ rpsFractional: 100, cpuUtilization: 1 });
    assert.equal(weight.value, 0);
    nowMs += 10_000;
    assert.equal(weight.value, 100);
    // Another machine may be there now.
    weight.reset();
    assert.equal(weight.value, 0);
  });

  it('is read once a second, from answers that carry a report', () => {
    weight = new LoadWeight({ ...RULES, blackoutMs: 0 }, () => nowMs);
    const take = (bytes: Uint8Array): void => weight.take(new Map([[TRAILER, bytes]]), {});
    take(Buffer.from('no report'));
    nowMs += 1_000;
    take(packed({ rpsFractional: 100, cpuUtilization: 1 }));
    assert.equal(weight.value, 100);
    nowMs += 999;
    take(packed({ rpsFractional: 50, cpuUtilization: 1 }));
    assert.equal(weight.value, 100);
    nowMs += 1;
    take(packed({ rpsFractional: 50, cpuUtilization: 1 }));
    assert.equal(weight.value, 50);
  });

  it('asks for reports, and shows them only to callers that asked too', () => {
    assert.deepEqual([...(weight.asking({}).headers ?? [])], [[FORMAT, 'bin']]);
    const trailers = new Map([[TRAILER, packed({})]]);
    const asked = { headers: new Map([[FORMAT, 'bin']]) };
    assert.equal(weight.asking(asked), asked);
    weight.take(trailers, asked);
    assert.ok(trailers.has(TRAILER));
    weight.take(trailers, {});
    assert.equal(trailers.size, 0);
  });
});

describe('turns by weight', () => {
  const places = (...weights: readonly number[]): Choice[] =>
    weights.map((weight) => ({ weight, inFlight: 0 }));
  const share = (turns: WeightedTurns, among: readonly Choice[], calls: number): number[] => {
    const counts = among.map(() => 0);
    for (let call = 0; call < calls; call += 1) {
      const place = turns.pick(among, () => true);
      const index = place === undefined ? -1 : among.indexOf(place);
      counts[index] = (counts[index] ?? 0) + 1;
    }
    return counts;
  };

  it('are in proportion, and spread', () => {
    const among = places(50, 25, 25);
    assert.deepEqual(share(new WeightedTurns(), among, 400), [200, 100, 100]);
    // Never more than two in a row for half of the weight.
    assert.deepEqual(share(new WeightedTurns(), among, 4), [2, 1, 1]);
  });

  it('count an unknown weight as an average one', () => {
    assert.deepEqual(share(new WeightedTurns(), places(30, 10, 0), 600), [300, 100, 200]);
  });

  it('are equal while fewer than two weights are known', () => {
    assert.deepEqual(share(new WeightedTurns(), places(0, 0, 0), 9), [3, 3, 3]);
    assert.deepEqual(share(new WeightedTurns(), places(900, 0, 0), 9), [3, 3, 3]);
  });

  it('are equal at once when the weights are forgotten', () => {
    const turns = new WeightedTurns();
    const among = [
      { weight: 1_000_000, inFlight: 0 },
      { weight: 1, inFlight: 0 },
    ];
    share(turns, among, 500);
    for (const place of among) place.weight = 0;
    const [first = 0, second = 0] = share(turns, among, 10);
    assert.ok(Math.abs(first - second) <= 2, `${first} and ${second}`);
  });

  it('pass over those that may not be chosen', () => {
    const turns = new WeightedTurns();
    const among = places(1, 1);
    assert.equal(
      turns.pick(among, (place) => place === among[1]),
      among[1],
    );
    assert.equal(
      turns.pick(among, () => false),
      undefined,
    );
  });
});

describe('the policy of a plugin elsewhere', () => {
  it('is the fewest calls unless weights are asked for', () => {
    assert.equal(weightRules(), undefined);
    assert.equal(weightRules({ policy: 'least_request', weights: { blackoutMs: 0 } }), undefined);
    assert.deepEqual(weightRules({ policy: 'weighted_round_robin', weights: { errorPenalty: 2 } }), {
      ...RULES,
      errorPenalty: 2,
    });
  });
});

describe('calls to addresses that report their load', () => {
  const servers: grpc.Server[] = [];
  let balancer: Balancer | undefined;

  afterEach(async () => {
    await balancer?.close();
    for (const server of servers.splice(0)) server.forceShutdown();
  });

  /** A server that says who it is and how busy. */
  async function serve(version: string, figures: Figures): Promise<string> {
    const message = Buffer.from(toBinary(SayResponseSchema, create(SayResponseSchema, { version })));
    const answer: Answer = (callback) => {
      const trailers = new grpc.Metadata();
      trailers.set(TRAILER, Buffer.from(packed(figures)));
      callback(null, message, trailers);
    };
    const { server, address } = await bareEcho(answer);
    servers.push(server);
    return address;
  }

  async function say(link: Balancer): Promise<{ version: string; hasReport: boolean }> {
    const { message, trailers } = await link.unary('/echo.v1.EchoService/Say', new Uint8Array());
    return { version: fromBinary(SayResponseSchema, message).version, hasReport: trailers.has(TRAILER) };
  }

  it('go to each in proportion to what it has left', async () => {
    const addresses = [
      await serve('busy', { rpsFractional: 100, cpuUtilization: 0.9 }),
      await serve('free', { rpsFractional: 100, cpuUtilization: 0.1 }),
    ];
    balancer = await openBalancer(addresses, new MetricsRegistry().kernel, { ...RULES, blackoutMs: 0 });
    const counts = { busy: 0, free: 0 };
    for (let call = 0; call < 104; call += 1) {
      const { version, hasReport } = await say(balancer);
      assert.equal(hasReport, false, 'nobody but the balancer asked for it');
      // Until both have reported they take turns.
      if (call < 4) continue;
      counts[version as keyof typeof counts] += 1;
    }
    assert.deepEqual(counts, { busy: 10, free: 90 });
  });
});
