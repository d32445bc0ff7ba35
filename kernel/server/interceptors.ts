import { codeName, isDeclaredError, type Logger } from '../../sdk/index.ts';
import type { AccessGate } from '../access/gate.ts';
import type { Call } from '../call.ts';
import type { CallMetrics } from '../call-metrics.ts';
import { deadlineExceeded } from '../deadline.ts';
import type { Interceptor } from '../dispatcher.ts';
import { StatusError } from '../status-error.ts';

/** The whole chain, in the order in which calls pass it. */
export function interceptors(gate: AccessGate, metrics: CallMetrics, log: Logger): readonly Interceptor[] {
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
function metricsInterceptor(metrics: CallMetrics): Interceptor {
  return {
    name: 'metrics',
    after: (call, path, error) => metrics.count(path, statusOf(error), seconds(call)),
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
