import { availableParallelism, totalmem } from 'node:os';
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { OrcaLoadReportSchema } from '../proto/gen/xds/data/orca/v3/orca_load_report_pb.ts';
import type { Call } from './call.ts';
import type { Interceptor } from './dispatcher.ts';
import { isFault } from './fault.ts';
import type { Instance } from './loader/instance.ts';
import { steadyMs } from './steady-clock.ts';

/** How busy this node is; 0 where it is not known. */
export type LoadReport = MessageInitShape<typeof OrcaLoadReportSchema>;

/** A plugin and what of it gets calls. */
export interface LoadedPlugin {
  readonly id: string;
  readonly active: { readonly instance: Pick<Instance, 'load'> } | undefined;
  readonly canary: { readonly instance: Pick<Instance, 'load'> } | undefined;
}

/** What {@link LoadReports.open} needs. */
export interface LoadSource {
  /** Every answer carries a report, also when its caller does not ask. */
  readonly perCall: boolean;
  readonly records: () => readonly LoadedPlugin[];
}

/** Metadata by which a caller asks for a report with the answer, and the value that is served. */
export const FORMAT_HEADER = 'endpoint-load-metrics-format';
const BINARY_FORMAT = 'bin';

/** Trailer that carries the report. */
export const REPORT_TRAILER = 'endpoint-load-metrics-bin';

/** Age at which a report is made anew for the next answer, in milliseconds. */
const FRESH_MS = 1_000;

/** Counts since the kernel started. */
interface Totals {
  readonly ms: number;
  readonly calls: number;
  readonly faults: number;
  readonly cpuMs: number;
}

/**
 * Load of this node in the ORCA format, for those who share calls out by it.
 *
 * @remarks Counts calls from outside only: those between plugins belong to one of them. What grpc-js offers is not used: it
 * parses its `.proto` for each answer and takes any interval.
 */
export class LoadReports {
  readonly #nowMs: () => number;
  readonly #closing: AbortController = new AbortController();
  readonly #window: LoadWindow;
  #source: LoadSource = { perCall: false, records: () => [] };
  #calls = 0;
  #faults = 0;
  #latest: LoadReport | undefined;
  #trailer: Uint8Array | undefined;

  /** @param nowMs - A clock that never jumps. */
  constructor(nowMs: () => number = steadyMs) {
    this.#nowMs = nowMs;
    this.#window = this.window();
  }

  /** From now on the plugins are looked at. */
  open(source: LoadSource): void {
    this.#source = source;
  }

  /** Aborted once no more reports are wanted. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** Ends all streams of reports, which would otherwise hold their connections open until they are cut. */
  close(): void {
    this.#closing.abort();
  }

  /** Counts what was let in, and adds the report to its answer. */
  interceptor(): Interceptor {
    return { name: 'load', after: (call, _path, error) => this.#after(call, error) };
  }

  #after(call: Call, error: unknown): void {
    if (call.principal === undefined) return;
    this.#calls += 1;
    if (error !== undefined && isFault(error)) this.#faults += 1;
    const isWanted = this.#source.perCall || call.evidence.header(FORMAT_HEADER) === BINARY_FORMAT;
    // A plugin may know its load better, that of a graphics processor for example.
    if (isWanted && call.setTrailers?.has(REPORT_TRAILER) !== true) {
      call.responseTrailers.set(REPORT_TRAILER, this.trailer());
    }
  }

  /** The report for answers, in bytes: without figures of single plugins, since trailers are bounded and go to every caller. */
  trailer(): Uint8Array {
    const report = this.latest();
    this.#trailer ??= toBinary(
      OrcaLoadReportSchema,
      create(OrcaLoadReportSchema, { ...report, utilization: {}, namedMetrics: {} }),
    );
    return this.#trailer;
  }

  /** A report that is not older than a second, over the time since the one before it. */
  latest(): LoadReport {
    if (this.#latest === undefined || this.#nowMs() - this.#window.sinceMs >= FRESH_MS) {
      this.#latest = this.#window.report();
      this.#trailer = undefined;
    }
    return this.#latest;
  }

  /** A series of reports, each over the time since the one before it; it begins now. */
  window(): LoadWindow {
    return new LoadWindow(
      () => this.#totals(),
      () => pluginFigures(this.#source.records()),
    );
  }

  #totals(): Totals {
    const { user, system } = process.cpuUsage();
    return {
      ms: this.#nowMs(),
      calls: this.#calls,
      faults: this.#faults,
      cpuMs: (user + system) / 1_000,
    };
  }
}

/** Reports one after another. */
export class LoadWindow {
  readonly #read: () => Totals;
  readonly #plugins: () => LoadReport;
  #from: Totals;

  constructor(read: () => Totals, plugins: () => LoadReport) {
    this.#read = read;
    this.#plugins = plugins;
    this.#from = read();
  }

  /** Time of the last report, or of the beginning. */
  get sinceMs(): number {
    return this.#from.ms;
  }

  report(): LoadReport {
    const from = this.#from;
    const to = this.#read();
    this.#from = to;
    const elapsedMs = to.ms - from.ms;
    const perMs = (amount: number): number => (elapsedMs > 0 ? amount / elapsedMs : 0);
    return {
      cpuUtilization: Math.min(1, perMs(to.cpuMs - from.cpuMs) / availableParallelism()),
      memUtilization: memoryUtilization(),
      rpsFractional: perMs(to.calls - from.calls) * 1_000,
      eps: perMs(to.faults - from.faults) * 1_000,
      ...this.#plugins(),
    };
  }
}

/** Memory of this process by the limit of its control group; 0 without one. */
function memoryUtilization(): number {
  const limit = process.constrainedMemory();
  // Without a limit systems tell 0, or a number beyond all memory.
  return limit > 0 && limit <= totalmem() ? Math.min(1, process.memoryUsage.rss() / limit) : 0;
}

/** The fullest plugin decides: calls to it would wait. */
function pluginFigures(records: readonly LoadedPlugin[]): LoadReport {
  const utilization: Record<string, number> = {};
  const namedMetrics: Record<string, number> = {};
  for (const { id, active, canary } of records) {
    for (const generation of [active, canary]) {
      if (generation === undefined) continue;
      const { load } = generation.instance;
      namedMetrics[`${id}.in_flight`] = (namedMetrics[`${id}.in_flight`] ?? 0) + load.inFlight;
      if (load.utilization !== undefined) {
        utilization[id] = Math.max(utilization[id] ?? 0, load.utilization);
      }
    }
  }
  return {
    utilization,
    namedMetrics,
    applicationUtilization: Math.max(0, ...Object.values(utilization)),
  };
}
