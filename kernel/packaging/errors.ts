import { Code, type ErrorType } from '../../sdk/index.ts';
import { defineKernelError } from '../kernel-error.ts';

/** A package cannot be used: damaged, incomplete, or made to harm. */
export const PackageInvalid: ErrorType<'package' | 'problem'> = defineKernelError({
  reason: 'PACKAGE_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ package: name, problem }) => `${name} is not a sound plugin package: ${problem}.`,
});

/** A key file is not what the command needs. */
export const KeyInvalid: ErrorType<'file' | 'problem'> = defineKernelError({
  reason: 'KEY_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ file, problem }) =>
    `${file} cannot be used as a key: ${problem}; 'lamella plugin keygen' makes a pair.`,
});

/** A folder cannot be made into a package. */
export const PackFailed: ErrorType<'directory' | 'problem'> = defineKernelError({
  reason: 'PACK_FAILED',
  code: Code.FAILED_PRECONDITION,
  message: ({ directory, problem }) => `${directory} cannot be packed: ${problem}.`,
});

/** The list of installed plugins cannot be read. */
export const LockFileInvalid: ErrorType<'file' | 'problem'> = defineKernelError({
  reason: 'LOCK_FILE_INVALID',
  code: Code.FAILED_PRECONDITION,
  message: ({ file, problem }) =>
    `${file} cannot be read (${problem}); bring it back from a copy, or remove it and install the plugins again.`,
});

/** No plugin of that id is installed. */
export const NotInstalled: ErrorType<'plugin'> = defineKernelError({
  reason: 'NOT_INSTALLED',
  code: Code.NOT_FOUND,
  message: ({ plugin }) => `Plugin '${plugin}' is not installed; 'lamella plugin installed' shows what is.`,
});

/** There is no version to go back to. */
export const NothingBefore: ErrorType<'plugin' | 'version' | 'kept'> = defineKernelError({
  reason: 'NOTHING_BEFORE',
  code: Code.FAILED_PRECONDITION,
  message: ({ plugin, version, kept }) =>
    `No ${version} version of '${plugin}' is kept (kept: ${kept}); install the one that you want.`,
});

/** npm could not get a package. */
export const NpmFailed: ErrorType<'package' | 'problem'> = defineKernelError({
  reason: 'NPM_FAILED',
  code: Code.UNAVAILABLE,
  message: ({ package: name, problem }) => `The npm package '${name}' cannot be fetched: ${problem}.`,
});

/** A package was not installed, because nobody vouches for it. */
export const PackageUntrusted: ErrorType<'plugin' | 'why' | 'repair'> = defineKernelError({
  reason: 'PACKAGE_UNTRUSTED',
  code: Code.PERMISSION_DENIED,
  message: ({ plugin, why, repair }) => `'${plugin}' is not installed: ${why}; ${repair}.`,
});

/** A plugin may not run: changed files, a wrong signature, or a signer that the operator does not trust. */
export const PluginQuarantined: ErrorType<'plugin' | 'why' | 'repair'> = defineKernelError({
  reason: 'PLUGIN_QUARANTINED',
  code: Code.PERMISSION_DENIED,
  message: ({ plugin, why, repair }) =>
    `Plugin '${plugin}' is in quarantine and does not run: ${why}; ${repair}, then load it again.`,
});

/** Another command changes what is installed. */
export const InstallBusy: ErrorType<'home' | 'pid'> = defineKernelError({
  reason: 'INSTALL_BUSY',
  code: Code.ABORTED,
  message: ({ home, pid }) =>
    `Process ${pid} is changing what is installed in ${home}; try again when it is done.`,
});

/** A package is sound and cannot be used here. */
export const InstallImpossible: ErrorType<'plugin' | 'problem'> = defineKernelError({
  reason: 'INSTALL_IMPOSSIBLE',
  code: Code.FAILED_PRECONDITION,
  message: ({ plugin, problem }) => `'${plugin}' is not installed: ${problem}.`,
});

/** An entry cannot be put on the trust list or taken off it. */
export const TrustInvalid: ErrorType<'entry' | 'problem'> = defineKernelError({
  reason: 'TRUST_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ entry, problem }) => `'${entry}' cannot be used: ${problem}.`,
});
