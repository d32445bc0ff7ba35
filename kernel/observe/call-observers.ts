import type { Call } from '../call.ts';
import type { Interceptor } from '../dispatcher.ts';
import type { HttpExchange } from '../server/http-exchange.ts';
import { AccessLog, type AccessLogParts } from './access-log.ts';
import type { AccessLogConfig } from './access-log-config.ts';
import { CallObservation } from './call-observation.ts';

/** What {@link CallObservers.open} makes its parts from. */
export interface ObserverParts extends Omit<AccessLogParts, 'config'> {
  readonly config: { readonly accessLog: AccessLogConfig };
}

/** The place of the access log in the chain of calls; nothing is noted until somebody wants it. */
export class CallObservers {
  #accessLog: AccessLog | undefined;

  /** From now on calls are written down, if the operator wants them to. */
  open({ config, ...parts }: ObserverParts): void {
    const { accessLog } = config;
    if (accessLog.calls !== 'off') this.#accessLog = new AccessLog({ ...parts, config: accessLog });
  }

  /** Stands before access control, so that calls that are refused there are seen too. */
  interceptor(): Interceptor {
    return {
      name: 'observe',
      before: (call) => this.#before(call),
      after: (call, path, error) => this.#accessLog?.call(call, path, error),
    };
  }

  #before(call: Call): void {
    if (this.#accessLog !== undefined) call.observation = new CallObservation();
  }

  /** A request over HTTP has been answered. */
  exchange(exchange: HttpExchange): void {
    this.#accessLog?.exchange(exchange);
  }

  async close(): Promise<void> {
    await this.#accessLog?.close();
  }
}
