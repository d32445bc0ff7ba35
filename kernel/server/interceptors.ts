import { codeName, isDeclaredError, type Logger, type Metrics } from '../../sdk/index.ts';
import type { AccessGate } from '../access/gate.ts';
import type { Call } from '../call.ts';
import { deadlineExceeded } from '../deadline.ts';
import type { Interceptor } from '../dispatcher.ts';
import { StatusError } from '../status-error.ts';

/** Upper bounds of the duration histogram, in seconds: from a cached answer to a long training step. */
const DURATION_BUCKETS_SECONDS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

/** The whole chain, in the order in which calls pass it. */
export function interceptors(gate: AccessGate, metrics: Metrics, log: Logger): readonly Interceptor[] {
  return [
    // First: nothing of a call is read before its caller is known.
    gate.interceptor(),
    deadlineInterceptor(),
    metricsInterceptor(metrics),
    logInterceptor(log),
  ];
}

/** Refuses calls whose time is already up: work that nobody waits for is not begun. */
function deadlineInterceptor(): Interceptor {
  return {
    name: 'deadline',
    before: (call) => {
      if (call.deadlineMs !== undefined && call.deadlineMs <= Date.now()) throw deadlineExceeded();
    },
  };
}

/** Rate, errors and duration of every method. */
function metricsInterceptor(metrics: Metrics): Interceptor {
  const duration = metrics.histogram({
    name: 'lamella_call_duration_seconds',
    help: 'Time from the arrival of a call to its status, by method and status code.',
    labels: ['method', 'code'],
    buckets: DURATION_BUCKETS_SECONDS,
  });
  return {
    name: 'metrics',
    after: (call, path, error) => duration.observe(seconds(call), { method: path, code: statusOf(error) }),
  };
}

/** One line a call at debug level; failures that are the server's fault are errors. */
function logInterceptor(log: Logger): Interceptor {
  return {
    name: 'log',
    after: (call, path, error) => {
      if (error === undefined) return;
      const code = statusOf(error);
      const fields = {
        method: path,
        code,
        peer: call.peer,
        requestId: call.requestId,
        seconds: seconds(call),
      };
      if (code === 'INTERNAL' || code === 'UNKNOWN') log.error('a call failed', { ...fields, error });
      else log.debug('a call was refused', { ...fields, reason: (error as Error).message });
    },
  };
}

function seconds(call: Call): number {
  return Number(process.hrtime.bigint() - call.startedNs) / 1e9;
}

function statusOf(error: unknown): string {
  if (error === undefined) return 'OK';
  if (isDeclaredError(error) || error instanceof StatusError) return codeName(error.code);
  return error instanceof Error && error.name === 'AbortError' ? 'CANCELLED' : 'INTERNAL';
}
