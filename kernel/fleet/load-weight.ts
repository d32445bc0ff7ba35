import { fromBinary } from '@bufbuild/protobuf';
import {
  type OrcaLoadReport,
  OrcaLoadReportSchema,
} from '../../proto/gen/xds/data/orca/v3/orca_load_report_pb.ts';
import type { CallHeaders } from '../../sdk/index.ts';
import type { LinkCallOptions } from '../link/link-client.ts';
import { FORMAT_HEADER, REPORT_TRAILER } from '../load-reports.ts';

/** How load reports become weights (gRFC A58). */
export interface WeightRules {
  /** Time for which the first reports of an address do not count yet, in milliseconds: it is still warming up. */
  readonly blackoutMs: number;
  /** Age at which a report counts no longer, in milliseconds. */
  readonly expirationMs: number;
  /** What a failed call costs; 1 counts it like a call's share of the load. */
  readonly errorPenalty: number;
}

/** Time between two reports that are read, in milliseconds: servers make a new one once a second. */
const READ_EVERY_MS = 1_000;

/** Longest report that is read, in bytes; ours have less than 100. */
const REPORT_LIMIT_BYTES = 8 * 1024;

/** How many calls an address should get, by the load that it reports with its answers. */
export class LoadWeight {
  readonly #rules: WeightRules;
  readonly #nowMs: () => number;
  #weight = 0;
  /** When the reports began that have gone on since. */
  #sinceMs: number | undefined;
  #reportedMs = 0;
  #nextReadMs = Number.NEGATIVE_INFINITY;

  /** @param nowMs - A clock that never jumps. */
  constructor(rules: WeightRules, nowMs: () => number) {
    this.#rules = rules;
    this.#nowMs = nowMs;
  }

  /** Calls a second for each unit of load; 0 while that is not known. */
  get value(): number {
    const nowMs = this.#nowMs();
    if (this.#sinceMs === undefined) return 0;
    if (nowMs - this.#reportedMs >= this.#rules.expirationMs) {
      this.#sinceMs = undefined;
      return 0;
    }
    return nowMs - this.#sinceMs < this.#rules.blackoutMs ? 0 : this.#weight;
  }

  /** The address was connected anew, and may be another machine. */
  reset(): void {
    this.#sinceMs = undefined;
    this.#nextReadMs = Number.NEGATIVE_INFINITY;
  }

  /** A call that asks for a report with its answer. */
  asking(options: LinkCallOptions): LinkCallOptions {
    if (options.headers?.has(FORMAT_HEADER) === true) return options;
    return { ...options, headers: new Map(options.headers).set(FORMAT_HEADER, 'bin') };
  }

  /** Reads the report of an answer, and takes it out when the caller has not asked for it. */
  take(trailers: CallHeaders, { headers }: LinkCallOptions): void {
    const bytes = trailers.get(REPORT_TRAILER);
    if (bytes === undefined) return;
    if (headers?.has(FORMAT_HEADER) !== true) trailers.delete(REPORT_TRAILER);
    const nowMs = this.#nowMs();
    if (nowMs < this.#nextReadMs || typeof bytes === 'string' || bytes.length > REPORT_LIMIT_BYTES) return;
    this.#nextReadMs = nowMs + READ_EVERY_MS;
    try {
      this.report(fromBinary(OrcaLoadReportSchema, bytes));
    } catch {
      // Whatever it is, it is no report; the answer itself is good.
    }
  }

  /** Takes up a report; one that does not say how busy the address is changes nothing. */
  report({ applicationUtilization, cpuUtilization, rpsFractional, eps }: OrcaReportFigures): void {
    const utilization = applicationUtilization > 0 ? applicationUtilization : cpuUtilization;
    if (!(utilization > 0 && rpsFractional > 0)) return;
    const failing = eps > 0 ? (eps / rpsFractional) * this.#rules.errorPenalty : 0;
    const weight = rpsFractional / (utilization + failing);
    if (!(weight > 0 && Number.isFinite(weight))) return;
    this.#weight = weight;
    this.#reportedMs = this.#nowMs();
    this.#sinceMs ??= this.#reportedMs;
  }
}

type OrcaReportFigures = Pick<
  OrcaLoadReport,
  'applicationUtilization' | 'cpuUtilization' | 'rpsFractional' | 'eps'
>;
