import type { Call } from '../call.ts';
import { serviceOf } from '../dispatcher.ts';
import type { Router } from '../router.ts';
import type { HttpExchange } from '../server/http-exchange.ts';
import { cancelledBy, declaredError, secondsOf, statusName } from './outcome.ts';

/** What a line says, by name; what does not apply is left out. */
export type AccessFields = Readonly<Record<string, string | number | undefined>>;

/** How a call ended. */
export interface CallEnd {
  readonly method: string;
  readonly error: unknown;
  readonly nowMs: number;
  readonly router: Router;
}

/** The line of a call over gRPC, or of one plugin to another. */
export function callFields(call: Call, end: CallEnd): AccessFields {
  const declared = end.error === undefined ? undefined : declaredError(end.error);
  return {
    // Who was known and refused is named by the refusal.
    principal: principalOf(call) ?? declared?.metadata['principal'] ?? 'unknown',
    peer: call.peer,
    protocol: 'grpc',
    ...servedFields(call, end),
    method: end.method,
    code: statusName(end.error),
    reason: declared?.reason,
    durationMs: rounded(secondsOf(call) * 1_000),
    ...trafficFields(call),
    requestId: call.requestId,
    traceId: traceIdOf(call.headers.get('traceparent')),
    deadlineLeftMs: call.remainingMs(end.nowMs),
    cancelledBy: cancelledBy(call),
  };
}

function principalOf({ caller, principal }: Call): string | undefined {
  return caller === undefined ? principal?.name : `plugin:${caller}`;
}

function servedFields({ observation }: Call, { method, router }: CallEnd): AccessFields {
  const served = observation?.instance;
  if (served === undefined) return { plugin: router.providerName(serviceOf(method)) };
  return { plugin: served.pluginId, version: served.version, isolation: served.isolation };
}

function trafficFields({ observation }: Call): AccessFields {
  if (observation === undefined) return {};
  const { request, response } = observation;
  return {
    requestMessages: request.messages,
    requestBytes: request.bytes,
    responseMessages: response.messages,
    responseBytes: response.bytes,
  };
}

/** The line of a request over HTTP. */
export function exchangeFields(exchange: HttpExchange): AccessFields {
  const { served, owner, method, path, durationMs } = exchange;
  return {
    principal: exchange.principal ?? 'unknown',
    peer: exchange.peer,
    protocol: 'http',
    plugin: owner === '' ? undefined : owner,
    version: served?.version,
    isolation: served?.isolation,
    method: `${method} ${path}`,
    httpStatus: exchange.status,
    reason: exchange.reason,
    durationMs: rounded(durationMs),
    requestBytes: exchange.requestBytes,
    responseBytes: exchange.responseBytes,
    requestId: exchange.requestId,
    traceId: traceIdOf(exchange.traceparent),
    cancelledBy: exchange.cancelledBy,
  };
}

const TRACEPARENT = /^[\da-f]{2}-([\da-f]{32})-[\da-f]{16}-[\da-f]{2}/;

function traceIdOf(traceparent: unknown): string | undefined {
  return typeof traceparent === 'string' ? TRACEPARENT.exec(traceparent)?.[1] : undefined;
}

function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 1_000) / 1_000;
}
