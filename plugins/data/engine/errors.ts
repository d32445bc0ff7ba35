import { Code, defineError, type ErrorType } from 'lamella/sdk';

/** DuckDB does not accept a plan. */
export const SqlInvalid: ErrorType<'problem'> = defineError({
  reason: 'SQL_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ problem }) => `The SQL plan cannot be run: ${problem}`,
});

/** A plan ran longer than it may. */
export const QueryTimedOut: ErrorType<'limitMs'> = defineError({
  reason: 'QUERY_TIMED_OUT',
  code: Code.DEADLINE_EXCEEDED,
  message: ({ limitMs }) =>
    `The plan ran for more than ${limitMs} ms and was stopped; make it cheaper or raise queryTimeoutMs.`,
});

/** A result column has a type that datasets do not have. */
export const ResultTypeUnsupported: ErrorType<'column' | 'type'> = defineError({
  reason: 'RESULT_TYPE_UNSUPPORTED',
  code: Code.INVALID_ARGUMENT,
  message: ({ column, type }) =>
    `Result column '${column}' has type ${type}, which a dataset cannot hold; cast it in the plan, for example to DOUBLE or VARCHAR.`,
});

/** The native package is not there. */
export const EngineUnavailable: ErrorType<'cause'> = defineError({
  reason: 'ENGINE_UNAVAILABLE',
  code: Code.FAILED_PRECONDITION,
  message: ({ cause }) =>
    `DuckDB could not be loaded (${cause}); install it with 'npm install @duckdb/node-api' and reload data.engine.`,
});

/** A plan, or what it reads, does not fit. */
export const EngineOutOfMemory: ErrorType<'problem'> = defineError({
  reason: 'ENGINE_OUT_OF_MEMORY',
  code: Code.RESOURCE_EXHAUSTED,
  message: ({ problem }) => `${problem} Raise memoryMib of data.engine, or read fewer rows or columns.`,
});
