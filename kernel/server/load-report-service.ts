import type { Duration } from '@bufbuild/protobuf/wkt';
import type { OpenRcaService } from '../../proto/gen/xds/service/orca/v3/orca_pb.ts';
import { Code, type ErrorType, type ServiceImplementation } from '../../sdk/index.ts';
import { defineKernelError } from '../kernel-error.ts';
import type { LoadReports } from '../load-reports.ts';

/** The kernel is about to end and tells those who read its load. */
export const LoadReportsEnded: ErrorType = defineKernelError({
  reason: 'LOAD_REPORTS_ENDED',
  code: Code.UNAVAILABLE,
  retryAfterMs: 1_000,
  message: () => 'The kernel stops and reports no load any more; ask another one, or this one again later.',
});

/** Input of {@link createLoadReportService}. */
export interface LoadReportParts {
  readonly reports: LoadReports;
  /** Shortest time between two reports of a stream, in milliseconds; shorter ones that are asked for become this one. */
  readonly minIntervalMs: number;
  /** Waits; rejects when the signal is aborted. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Longest time that timers can wait, in milliseconds. */
const LONGEST_MS = 2 ** 31 - 1;

/** `xds.service.orca.v3`: load reports beside the calls (gRFC A51). */
export function createLoadReportService(
  parts: LoadReportParts,
): ServiceImplementation<typeof OpenRcaService> {
  const { reports, minIntervalMs, wait } = parts;
  return {
    async *streamCoreMetrics({ reportInterval }, { signal }) {
      const intervalMs = Math.min(LONGEST_MS, Math.max(minIntervalMs, toMs(reportInterval)));
      const end = AbortSignal.any([signal, reports.closing]);
      const window = reports.window();
      yield reports.latest();
      for (;;) {
        try {
          await wait(intervalMs, end);
        } catch (cause) {
          if (signal.aborted) return;
          if (reports.closing.aborted) throw new LoadReportsEnded({}, { cause });
          throw cause;
        }
        yield window.report();
      }
    },
  };
}

function toMs(duration: Duration | undefined): number {
  return duration === undefined ? 0 : Number(duration.seconds) * 1_000 + duration.nanos / 1e6;
}
