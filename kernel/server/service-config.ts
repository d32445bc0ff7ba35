import type { DescMethod, DescService, JsonObject } from '@bufbuild/protobuf';
import { MethodOptions_IdempotencyLevel as Idempotency } from '@bufbuild/protobuf/wkt';
import { Code, type ErrorType } from '../../sdk/index.ts';
import { defineKernelError } from '../kernel-error.ts';

/** A service config was asked for a service that is not loaded. */
export const ServiceUnknown: ErrorType<'service'> = defineKernelError({
  reason: 'SERVICE_UNKNOWN',
  code: Code.NOT_FOUND,
  message: ({ service }) =>
    `No service '${service}' is loaded; 'lamella call --list' shows the names, the empty name means all.`,
});

/** Four tries within about a second; a restart of a plugin takes a quarter of one (gRFC A6). */
const RETRY_POLICY: JsonObject = {
  maxAttempts: 4,
  initialBackoff: '0.1s',
  maxBackoff: '2s',
  backoffMultiplier: 2,
  retryableStatusCodes: ['UNAVAILABLE'],
};

/** Retries stop once about half of the last calls have failed: then they only add to the load. */
const RETRY_THROTTLING: JsonObject = { maxTokens: 10, tokenRatio: 0.1 };

/**
 * The gRPC service config of services (https://github.com/grpc/grpc/blob/master/doc/service_config.md): methods whose
 * `.proto` says that a second call does no harm are retried, others never.
 */
export function serviceConfigOf(services: Iterable<DescService>): JsonObject {
  const name = [...services].flatMap(({ typeName, methods }) =>
    methods.filter(isRepeatable).map((method) => ({ service: typeName, method: method.name })),
  );
  const methodConfig = name.length === 0 ? [] : [{ name, retryPolicy: RETRY_POLICY }];
  return { methodConfig, retryThrottling: RETRY_THROTTLING };
}

function isRepeatable({ idempotency }: DescMethod): boolean {
  return idempotency !== Idempotency.IDEMPOTENCY_UNKNOWN;
}
