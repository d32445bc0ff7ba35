import { Code, defineError, type ErrorType } from 'lamella/sdk';

/** A part of an alert rule is wrong. */
export const AlertRuleInvalid: ErrorType<'field' | 'problem'> = defineError({
  reason: 'ALERT_RULE_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ field, problem }) => `Field '${field}' of the alert rule is not valid: ${problem}.`,
});

/** There are as many rules as are allowed. */
export const AlertRulesFull: ErrorType<'limit'> = defineError({
  reason: 'ALERT_RULES_FULL',
  code: Code.RESOURCE_EXHAUSTED,
  message: ({ limit }) =>
    `There are ${limit} alert rules, the limit; delete one or raise maxRules of serving.monitor.`,
});

/** Nothing publishes single calls yet. */
export const AccessLogUnavailable: ErrorType = defineError({
  reason: 'ACCESS_LOG_UNAVAILABLE',
  code: Code.UNIMPLEMENTED,
  message: () => 'This version keeps no log of single calls; use GetMetrics, or watch the metrics port.',
});
