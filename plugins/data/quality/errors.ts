import { Code, defineError, type ErrorType } from 'lamella/sdk';

/** A rule is not valid. */
export const RuleInvalid: ErrorType<'index' | 'kind' | 'detail'> = defineError({
  reason: 'RULE_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ index, kind, detail }) => `Rule ${index} ('${kind}') is not valid: ${detail}.`,
});

/** A column is named that is not there. */
export const ColumnUnknown: ErrorType<'column' | 'known'> = defineError({
  reason: 'COLUMN_UNKNOWN',
  code: Code.INVALID_ARGUMENT,
  message: ({ column, known }) => `There is no column '${column}' here; there are: ${known}.`,
});

/** Too many rules or columns at once. */
export const TooMany: ErrorType<'what' | 'count' | 'maximum'> = defineError({
  reason: 'TOO_MANY',
  code: Code.INVALID_ARGUMENT,
  message: ({ what, count, maximum }) =>
    `${count} ${what} are more than the ${maximum} allowed; ask several times.`,
});

/** The store answered without a version. */
export const VersionMissing: ErrorType<'name'> = defineError({
  reason: 'VERSION_MISSING',
  code: Code.NOT_FOUND,
  message: ({ name }) => `The store gave no version for '${name}'; ListVersions shows those there are.`,
});
