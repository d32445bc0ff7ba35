import { Code, type ErrorType } from '../../sdk/index.ts';
import { defineKernelError } from '../kernel-error.ts';

/** No version waits to be called back. */
export const NothingToRollBack: ErrorType<'plugin'> = defineKernelError({
  reason: 'NOTHING_TO_ROLL_BACK',
  code: Code.FAILED_PRECONDITION,
  message: ({ plugin }) =>
    `No earlier version of plugin '${plugin}' waits to be called back; it is kept for rollbackWindowMs after an upgrade, unless the plugin is exclusive. Load the folder of the version you want.`,
});

/** No version is on trial. */
export const NothingToPromote: ErrorType<'plugin'> = defineKernelError({
  reason: 'NOTHING_TO_PROMOTE',
  code: Code.FAILED_PRECONDITION,
  message: ({ plugin }) =>
    `Plugin '${plugin}' has no canary; 'lamella plugin reload ${plugin} --canary 10' starts one.`,
});

/** The folder of a plugin no longer holds what was in service. */
export const PluginCodeChanged: ErrorType<'plugin' | 'version' | 'directory'> = defineKernelError({
  reason: 'PLUGIN_CODE_CHANGED',
  code: Code.FAILED_PRECONDITION,
  message: ({ plugin, version, directory }) =>
    `${directory} no longer holds the files of version ${version} of plugin '${plugin}' that was in service; 'lamella plugin reload ${plugin}' takes what is there now. A program that writes into its folder names its own files under "files" in plugin.json.`,
});

/** A version on trial would miss calls that the one in service takes. */
export const CanaryIncompatible: ErrorType<'plugin' | 'services'> = defineKernelError({
  reason: 'CANARY_INCOMPATIBLE',
  code: Code.FAILED_PRECONDITION,
  message: ({ plugin, services }) =>
    `The new version of plugin '${plugin}' does not provide ${services} and cannot take a share of the calls; replace the old one as a whole.`,
});

/** A canary needs a version beside which it is tried. */
export const CanaryImpossible: ErrorType<'plugin' | 'why'> = defineKernelError({
  reason: 'CANARY_IMPOSSIBLE',
  code: Code.FAILED_PRECONDITION,
  message: ({ plugin, why }) => `Plugin '${plugin}' cannot have a canary: ${why}; leave canary_percent out.`,
});

/** The configuration of an older version cannot become one of a newer version. */
export const ConfigMigrationFailed: ErrorType<'plugin' | 'from' | 'to' | 'problems'> = defineKernelError({
  reason: 'CONFIG_MIGRATION_FAILED',
  code: Code.FAILED_PRECONDITION,
  message: ({ plugin, from, to, problems }) =>
    `The configuration of plugin '${plugin}', written for version ${from}, could not be turned into one for version ${to}: ${problems}; write it for ${to} in config.json, or use a version whose configMigrations can do it.`,
});

/** A call outlived the drain of a version that was replaced. */
export const PluginReplaced: ErrorType<'plugin' | 'seconds'> = defineKernelError({
  reason: 'PLUGIN_REPLACED',
  code: Code.UNAVAILABLE,
  retryAfterMs: 250,
  message: ({ plugin, seconds }) =>
    `Plugin '${plugin}' was replaced and this call did not end within ${seconds} s; retry.`,
});

/** A program cannot be kept from files that it was not granted. */
export const FilesNotHeld: ErrorType<'plugin' | 'why'> = defineKernelError({
  reason: 'FILES_NOT_HELD',
  code: Code.FAILED_PRECONDITION,
  message: ({ plugin, why }) =>
    `This machine cannot hold program '${plugin}' to its files (${why}); 'lamella doctor' says what it lacks. To run it with all that the system allows: "plugins":{"${plugin}":{"capabilities":{"files":[{"path":"/","write":true}]}}}.`,
});
