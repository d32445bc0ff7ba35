import { Code, type Code as CodeType, isDeclaredError } from 'lamella/sdk';
import type { FailureReason } from './infer-metrics.ts';

const REASONS: ReadonlyMap<CodeType, FailureReason> = new Map<CodeType, FailureReason>([
  [Code.CANCELLED, 'CANCELED'],
  [Code.DEADLINE_EXCEEDED, 'CANCELED'],
  [Code.RESOURCE_EXHAUSTED, 'REJECTED'],
]);

/** Why a request failed, as Triton's metrics name it. */
export function failureReason(error: unknown): FailureReason {
  if (!isDeclaredError(error)) return 'OTHER';
  if (error.reason === 'QUEUE_FULL' || error.reason === 'REQUEST_EXPIRED') return 'REJECTED';
  if (/^(?:ORT|BACKEND)_/.test(error.reason) && error.code !== Code.CANCELLED) return 'BACKEND';
  return REASONS.get(error.code) ?? 'OTHER';
}
