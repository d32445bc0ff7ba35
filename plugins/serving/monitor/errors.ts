import { Code, defineError, type ErrorType } from 'lamella/sdk';

/** A rule file that cannot be read. */
export const RuleFileInvalid: ErrorType<'file' | 'line' | 'column' | 'problem'> = defineError({
  reason: 'RULE_FILE_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ file, line, column, problem }) => `${file}, line ${line}, column ${column}: ${problem}.`,
});

/** A rule file that comes with the plugin. */
export const RuleFileReadOnly: ErrorType<'file'> = defineError({
  reason: 'RULE_FILE_READ_ONLY',
  code: Code.FAILED_PRECONDITION,
  message: ({ file }) =>
    `${file} comes with serving.monitor and is not changed; set defaultRules to false and write its text under another name.`,
});

/** There are as many rules as are allowed. */
export const AlertRulesFull: ErrorType<'limit'> = defineError({
  reason: 'ALERT_RULES_FULL',
  code: Code.RESOURCE_EXHAUSTED,
  message: ({ limit }) =>
    `There would be more than ${limit}, the limit; delete some or raise maxRules of serving.monitor.`,
});

/** A name, a time or another field of a request is wrong. */
export const MonitorRequestInvalid: ErrorType<'field' | 'problem'> = defineError({
  reason: 'MONITOR_REQUEST_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ field, problem }) => `Field '${field}' is not valid: ${problem}.`,
});

/** An expression that is not in the supported part of PromQL, or cannot be evaluated. */
export const ExpressionInvalid: ErrorType<'problem'> = defineError({
  reason: 'EXPRESSION_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ problem }) => `The expression cannot be evaluated: ${problem}.`,
});

/** There are as many silences as are allowed. */
export const SilencesFull: ErrorType<'limit'> = defineError({
  reason: 'SILENCES_FULL',
  code: Code.RESOURCE_EXHAUSTED,
  message: ({ limit }) => `There are ${limit} silences, the limit; delete one with DeleteSilence.`,
});

/** A receiver of the configuration that cannot be told anything. */
export const ReceiverInvalid: ErrorType<'receiver' | 'problem'> = defineError({
  reason: 'RECEIVER_INVALID',
  code: Code.FAILED_PRECONDITION,
  message: ({ receiver, problem }) =>
    `Receiver '${receiver}' in the configuration of serving.monitor is not valid: ${problem}.`,
});

/** A rule of the configuration that holds alerts back and cannot be read. */
export const InhibitRuleInvalid: ErrorType<'problem'> = defineError({
  reason: 'INHIBIT_RULE_INVALID',
  code: Code.FAILED_PRECONDITION,
  message: ({ problem }) =>
    `An entry of inhibitRules in the configuration of serving.monitor is not valid: ${problem}.`,
});

/** The window of samples would not fit into memory. */
export const WindowTooLarge: ErrorType<'samples' | 'limit'> = defineError({
  reason: 'WINDOW_TOO_LARGE',
  code: Code.FAILED_PRECONDITION,
  message: ({ samples, limit }) =>
    `windowMs / intervalMs x maxSeries of serving.monitor makes ${samples} samples, more than ${limit}; lower windowMs or maxSeries, or raise intervalMs.`,
});
