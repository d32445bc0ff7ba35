import { Code, defineError, type ErrorType } from 'lamella/sdk';

/** A resource name does not have the form it must have. */
export const NameInvalid: ErrorType<'name' | 'form'> = defineError({
  reason: 'NAME_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ name, form }) => `'${name}' is not a valid name here; write it as ${form}.`,
});

/** There is no such model. */
export const ModelNotFound: ErrorType<'name'> = defineError({
  reason: 'MODEL_NOT_FOUND',
  code: Code.NOT_FOUND,
  message: ({ name }) => `There is no model '${name}'; ListModels shows those there are.`,
});

/** There is no such version. */
export const VersionNotFound: ErrorType<'name'> = defineError({
  reason: 'VERSION_NOT_FOUND',
  code: Code.NOT_FOUND,
  message: ({ name }) => `There is no model version '${name}'; ListVersions shows those there are.`,
});

/** There is no such alias. */
export const AliasNotFound: ErrorType<'name' | 'known'> = defineError({
  reason: 'ALIAS_NOT_FOUND',
  code: Code.NOT_FOUND,
  message: ({ name, known }) => `There is no alias '${name}'; the model has: ${known}. SetAlias makes one.`,
});

/** The stream of CreateVersion does not have the form it must have. */
export const UploadMalformed: ErrorType<'detail'> = defineError({
  reason: 'UPLOAD_MALFORMED',
  code: Code.INVALID_ARGUMENT,
  message: ({ detail }) => `${detail}; send one header first, then the ONNX file in chunks under 4 MiB.`,
});

/** The file is larger than the configured limit. */
export const ArtifactTooLarge: ErrorType<'maxBytes'> = defineError({
  reason: 'ARTIFACT_TOO_LARGE',
  code: Code.RESOURCE_EXHAUSTED,
  message: ({ maxBytes }) =>
    `The ONNX file is larger than ${maxBytes} bytes; make the model smaller or raise 'maxArtifactBytes'.`,
});

/** The header is larger than it may be. */
export const HeaderTooLarge: ErrorType<'sizeBytes' | 'maxBytes'> = defineError({
  reason: 'HEADER_TOO_LARGE',
  code: Code.RESOURCE_EXHAUSTED,
  message: ({ sizeBytes, maxBytes }) =>
    `The header has ${sizeBytes} bytes, ${maxBytes} are allowed; keep large facts outside labels and recipe.`,
});

/** What arrived is not what the caller meant to send. */
export const DigestMismatch: ErrorType<'expected' | 'actual'> = defineError({
  reason: 'DIGEST_MISMATCH',
  code: Code.DATA_LOSS,
  message: ({ expected, actual }) =>
    `The file has SHA-256 ${actual}, the header says ${expected}; send the file again.`,
});

/** A file on disk is not what was registered. */
export const ArtifactDamaged: ErrorType<'name' | 'digest'> = defineError({
  reason: 'ARTIFACT_DAMAGED',
  code: Code.DATA_LOSS,
  message: ({ name, digest }) =>
    `The file of '${name}' is missing or no longer has SHA-256 ${digest}; restore it from a backup or register again.`,
});

/** The disk cannot take the file. */
export const StorageFull: ErrorType = defineError({
  reason: 'STORAGE_FULL',
  code: Code.RESOURCE_EXHAUSTED,
  message: () =>
    'The disk of the model registry is full; delete versions or give it more room, then send again.',
});

/** An alias points to the version that should go. */
export const VersionInUse: ErrorType<'name' | 'aliases'> = defineError({
  reason: 'VERSION_IN_USE',
  code: Code.FAILED_PRECONDITION,
  message: ({ name, aliases }) =>
    `'${name}' is pointed to by ${aliases}; move the alias first, or set 'force' to delete both.`,
});

/** Somebody else moved the alias. */
export const AliasMoved: ErrorType<'name' | 'expected' | 'actual'> = defineError({
  reason: 'ALIAS_MOVED',
  code: Code.ABORTED,
  message: ({ name, expected, actual }) =>
    `'${name}' points to '${actual}', not to '${expected}'; read the model again and decide anew.`,
});

/** A watcher reads slower than changes happen. */
export const WatchTooSlow: ErrorType = defineError({
  reason: 'WATCH_TOO_SLOW',
  code: Code.RESOURCE_EXHAUSTED,
  message: () => 'The watcher fell 1,000 changes behind; list the models, then watch again.',
});
