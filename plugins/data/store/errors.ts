import { Code, defineError, type ErrorType } from 'lamella/sdk';

/** No dataset version of that name. */
export const DatasetVersionNotFound: ErrorType<'name'> = defineError({
  reason: 'DATASET_VERSION_NOT_FOUND',
  code: Code.NOT_FOUND,
  message: ({ name }) =>
    `There is no dataset version '${name}'; ListDatasets and ListVersions show what there is.`,
});

/** A write that does not follow the protocol or its own schema. */
export const WriteInvalid: ErrorType<'problem'> = defineError({
  reason: 'WRITE_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ problem }) => `The version was not written: ${problem}.`,
});

/** Others were made from the version. */
export const DatasetVersionInUse: ErrorType<'name' | 'children'> = defineError({
  reason: 'DATASET_VERSION_IN_USE',
  code: Code.FAILED_PRECONDITION,
  message: ({ name, children }) =>
    `'${name}' is the parent of ${children}; delete those first, or set force to break the lineage.`,
});

/** The driver that holds a version's rows is not here. */
export const DriverUnknown: ErrorType<'driver'> = defineError({
  reason: 'DRIVER_UNKNOWN',
  code: Code.NOT_FOUND,
  message: ({ driver }) =>
    `There is no store driver '${driver}'; load the plugin that provides it, or leave the driver empty.`,
});

/** The disk did not take the rows. */
export const RowsNotStored: ErrorType<'cause'> = defineError({
  reason: 'ROWS_NOT_STORED',
  code: Code.UNAVAILABLE,
  message: ({ cause }) =>
    `The rows could not be stored (${cause}) and nothing of the version is kept; free disk space, then retry.`,
});

/** A reader asks for a column that the version does not have. */
export const DatasetColumnNotFound: ErrorType<'name' | 'column' | 'columns'> = defineError({
  reason: 'DATASET_COLUMN_NOT_FOUND',
  code: Code.INVALID_ARGUMENT,
  message: ({ name, column, columns }) => `'${name}' has no column '${column}'; it has ${columns}.`,
});

/** The native package is not there. */
export const StoreUnavailable: ErrorType<'cause'> = defineError({
  reason: 'STORE_UNAVAILABLE',
  code: Code.FAILED_PRECONDITION,
  message: ({ cause }) =>
    `lmdb could not be loaded (${cause}); install it with 'npm install lmdb' and reload data.store.`,
});
