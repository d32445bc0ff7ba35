import type { Logger } from '../../sdk/index.ts';
import type { AccessGate } from '../access/gate.ts';
import type { CallMetrics } from '../call-metrics.ts';
import { DEADLINE_EXCEEDED } from '../deadline.ts';
import type { Interceptor } from '../dispatcher.ts';
import type { LoadReports } from '../load-reports.ts';
import type { CallObservers } from '../observe/call-observers.ts';
import { secondsOf, statusName } from '../observe/outcome.ts';

/** What the chain works on. */
interface ChainParts {
  readonly gate: AccessGate;
  readonly calls: CallMetrics;
  readonly observers: CallObservers;
  readonly loadReports: LoadReports;
  readonly log: Logger;
}

/** The whole chain, in the order in which calls pass it. */
export function interceptors(parts: ChainParts): readonly Interceptor[] {
  const { gate, calls, observers, loadReports, log } = parts;
  return [
    observers.interceptor(),
    // Before all that acts on what a call says: its caller must be known.
    gate.interceptor(),
    deadlineInterceptor(),
    metricsInterceptor(calls),
    loadReports.interceptor(),
    logInterceptor(log),
  ];
}

/** Refuses calls whose time is already up: work that nobody waits for is not begun. */
function deadlineInterceptor(): Interceptor {
  return {
    name: 'deadline',
    before: (call) => {
      if (call.deadlineMs !== undefined && call.deadlineMs <= Date.now()) throw DEADLINE_EXCEEDED;
    },
  };
}

/** Rate, errors and duration of every method. */
function metricsInterceptor(metrics: CallMetrics): Interceptor {
  return {
    name: 'metrics',
    after: (call, path, error) => metrics.count(path, statusName(error), secondsOf(call)),
  };
}

/** One line a call at debug level; failures that are the server's fault are errors. */
function logInterceptor(log: Logger): Interceptor {
  return {
    name: 'log',
    after: (call, path, error) => {
      if (error === undefined) return;
      const code = statusName(error);
      // Read only if the line is written: under overload most calls are refused, and that must cost next to nothing.
      const fields = {
        method: path,
        code,
        get peer() {
          return call.peer;
        },
        get requestId() {
          return call.requestId;
        },
        get seconds() {
          return secondsOf(call);
        },
      };
      if (code === 'INTERNAL' || code === 'UNKNOWN') log.error('a call failed', { ...fields, error });
      else log.debug('a call was refused', Object.assign(fields, { reason: (error as Error).message }));
    },
  };
}
