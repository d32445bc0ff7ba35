import assert from 'node:assert/strict';
import { fromBinary } from '@bufbuild/protobuf';
import type { Principal } from '../../kernel/access/principal.ts';
import { Call } from '../../kernel/call.ts';
import { LoadReports, REPORT_TRAILER } from '../../kernel/load-reports.ts';
import { Admission } from '../../kernel/loader/admission.ts';
import { InstanceLoad } from '../../kernel/loader/instance.ts';
import { createLoadReportService } from '../../kernel/server/load-report-service.ts';
import { StatusError } from '../../kernel/status-error.ts';
import {
  type OrcaLoadReport,
  OrcaLoadReportSchema,
} from '../../proto/gen/xds/data/orca/v3/orca_load_report_pb.ts';
import { OpenRcaService } from '../../proto/gen/xds/service/orca/v3/orca_pb.ts';
import { type Client, Code } from '../../sdk/index.ts';
import { clientOf } from '../support/fake-host.ts';

const CALLER: Principal = { name: 'anonymous', kind: 'anonymous', grants: [] };

describe('load reports', () => {
  let nowMs: number;
  let reports: LoadReports;
  /** Waits that the stream has begun, the last one at the end. */
  let waits: { readonly ms: number; readonly end: () => void }[];
  let client: Client<typeof OpenRcaService>;

  beforeEach(() => {
    nowMs = 0;
    waits = [];
    reports = new LoadReports(() => nowMs);
    const implementation = createLoadReportService({
      reports,
      minIntervalMs: 30_000,
      wait: (ms, signal) =>
        new Promise((resolve, reject) => {
          waits.push({ ms, end: resolve });
          const abort = (): void => reject(new Error('aborted'));
          if (signal.aborted) abort();
          else signal.addEventListener('abort', abort, { once: true });
        }),
    });
    client = clientOf(OpenRcaService, implementation);
  });

  /** A call that has ended. */
  function answer({ format = '', principal = CALLER, error }: Partial<Answered> = {}): Call {
    const call = newCall(format);
    call.principal = principal ?? undefined;
    reports.interceptor().after?.(call, '/a.B/C', error);
    return call;
  }

  function read(seconds?: bigint): { stream: AsyncIterator<OrcaLoadReport>; abort: AbortController } {
    const abort = new AbortController();
    const request = seconds === undefined ? {} : { reportInterval: { seconds } };
    const stream = client.streamCoreMetrics(request, { signal: abort.signal })[Symbol.asyncIterator]();
    return { stream, abort };
  }

  /** What the answer to a call carries. */
  function trailerOf(call: Call): OrcaLoadReport | undefined {
    const bytes = call.setTrailers?.get(REPORT_TRAILER);
    return bytes === undefined ? undefined : fromBinary(OrcaLoadReportSchema, bytes as Uint8Array);
  }

  /** Lets one interval of a stream pass. */
  async function nextOf(stream: AsyncIterator<OrcaLoadReport>, ms: number): Promise<OrcaLoadReport> {
    const next = stream.next();
    nowMs += ms;
    waits.at(-1)?.end();
    return (await next).value as OrcaLoadReport;
  }

  it('come at once, then each over the calls of one interval', async () => {
    const { stream, abort } = read(40n);
    assert.equal((await stream.next()).value?.rpsFractional, 0);
    const fault = new StatusError({ code: Code.INTERNAL, message: 'broken' });
    const refusal = new StatusError({ code: Code.INVALID_ARGUMENT, message: "the caller's fault" });
    for (let index = 0; index < 60; index += 1) answer();
    for (let index = 0; index < 20; index += 1) answer({ error: fault });
    answer({ principal: null });
    const next = stream.next();
    nowMs = 40_000;
    waits.at(-1)?.end();
    const { value } = await next;
    assert.deepEqual([value?.rpsFractional, value?.eps], [2, 0.5]);
    assert.ok(value !== undefined && value.cpuUtilization >= 0 && value.cpuUtilization <= 1);
    for (let index = 0; index < 4; index += 1) answer({ error: refusal });
    const { rpsFractional, eps } = await nextOf(stream, 40_000);
    assert.deepEqual([rpsFractional, eps], [0.1, 0]);
    abort.abort();
    assert.equal((await stream.next()).done, true);
  });

  it('come no more often than the minimum, and any interval that a message can carry is taken', async () => {
    const asked = [undefined, 0n, -5n, 1n, 29n, 31n, 315_576_000_000n, 2n ** 63n - 1n];
    for (const seconds of asked) {
      const { stream, abort } = read(seconds);
      await stream.next();
      const last = stream.next();
      abort.abort();
      assert.equal((await last).done, true);
    }
    const most = 2 ** 31 - 1;
    assert.deepEqual(
      waits.map(({ ms }) => ms),
      [30_000, 30_000, 30_000, 30_000, 30_000, 31_000, most, most],
    );
  });

  it('end when the kernel drains, for those who come later too', async () => {
    const { stream } = read();
    await stream.next();
    const last = stream.next();
    reports.close();
    await assert.rejects(last, { reason: 'LOAD_REPORTS_ENDED', retryAfterMs: 1_000 });
    const late = read().stream;
    await late.next();
    await assert.rejects(late.next(), { reason: 'LOAD_REPORTS_ENDED' });
  });

  it('say how full plugins with a limit are, with those that wait', async () => {
    const load = new InstanceLoad(new Admission({ pluginId: 'a.limited', concurrency: 2, queue: 8 }));
    const calls = [newCall(), newCall(), newCall()];
    const waiting = calls.map((call) => load.enter(call)).at(-1);
    const free = new InstanceLoad(new Admission({ pluginId: 'a.free', concurrency: 0, queue: 8 }));
    reports.open({
      perCall: false,
      records: () => [
        { id: 'a.limited', active: { instance: { load } }, canary: undefined },
        { id: 'a.free', active: { instance: { load: free } }, canary: { instance: { load: free } } },
        { id: 'a.stopped', active: undefined, canary: undefined },
      ],
    });
    const { value } = await read().stream.next();
    assert.equal(value?.applicationUtilization, 1.5);
    assert.deepEqual(value?.utilization, { 'a.limited': 1.5 });
    assert.deepEqual(value?.namedMetrics, { 'a.limited.in_flight': 3, 'a.free.in_flight': 0 });
    for (const call of calls) {
      load.leave(call);
      await waiting;
    }
  });

  it('go with an answer when its caller asks, made anew each second', () => {
    assert.equal(answer().setTrailers, undefined);
    assert.equal(answer({ format: 'json' }).setTrailers, undefined);
    nowMs = 1_000;
    const asked = answer({ format: 'bin' });
    assert.equal(trailerOf(asked)?.rpsFractional, 3);
    const first = asked.setTrailers?.get(REPORT_TRAILER);
    nowMs = 1_999;
    assert.equal(answer({ format: 'bin' }).setTrailers?.get(REPORT_TRAILER), first);
    nowMs = 2_000;
    assert.equal(trailerOf(answer({ format: 'bin' }))?.rpsFractional, 2);
  });

  it('go with every answer where that is configured, and leave out what concerns single plugins', () => {
    const load = new InstanceLoad(new Admission({ pluginId: 'a.b', concurrency: 2, queue: 0 }));
    void load.enter(newCall());
    reports.open({
      perCall: true,
      records: () => [{ id: 'a.b', active: { instance: { load } }, canary: undefined }],
    });
    const report = trailerOf(answer());
    assert.equal(report?.applicationUtilization, 0.5);
    assert.deepEqual([report?.utilization, report?.namedMetrics], [{}, {}]);
  });

  it('do not take the place of what the plugin itself reports', () => {
    const call = newCall('bin');
    call.principal = CALLER;
    const own = new Uint8Array([1]);
    call.responseTrailers.set(REPORT_TRAILER, own);
    reports.interceptor().after?.(call, '/a.B/C', undefined);
    assert.equal(call.responseTrailers.get(REPORT_TRAILER), own);
  });

  it('go to nobody who was not let in', () => {
    assert.equal(answer({ format: 'bin', principal: null }).setTrailers, undefined);
  });
});

interface Answered {
  /** Format of the report that the caller asks for. */
  readonly format: string;
  /** `null` for a plugin, and for those who were refused. */
  readonly principal: Principal | null;
  readonly error: unknown;
}

function newCall(format = ''): Call {
  return new Call({
    readHeaders: () => new Map(),
    readPeer: () => 'test',
    evidence: {
      header: (name) => (name === 'endpoint-load-metrics-format' ? format : undefined),
      certificateNames: () => undefined,
      peer: () => 'test',
    },
  });
}
