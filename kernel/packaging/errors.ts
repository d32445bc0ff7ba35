import { Code, defineError, type ErrorType } from '../../sdk/index.ts';

/** A package cannot be used: damaged, incomplete, or made to harm. */
export const PackageInvalid: ErrorType<'package' | 'problem'> = defineError({
  reason: 'PACKAGE_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ package: name, problem }) => `${name} is not a sound plugin package: ${problem}.`,
});

/** A key file is not what the command needs. */
export const KeyInvalid: ErrorType<'file' | 'problem'> = defineError({
  reason: 'KEY_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ file, problem }) =>
    `${file} cannot be used as a key: ${problem}; 'lamella plugin keygen' makes a pair.`,
});

/** A folder cannot be made into a package. */
export const PackFailed: ErrorType<'directory' | 'problem'> = defineError({
  reason: 'PACK_FAILED',
  code: Code.FAILED_PRECONDITION,
  message: ({ directory, problem }) => `${directory} cannot be packed: ${problem}.`,
});
