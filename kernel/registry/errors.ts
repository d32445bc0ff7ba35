import { Code, type ErrorType } from '../../sdk/index.ts';
import { defineKernelError } from '../kernel-error.ts';

/** A plugin.json cannot be used. */
export const ManifestInvalid: ErrorType<'file' | 'problems'> = defineKernelError({
  reason: 'MANIFEST_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ file, problems }) =>
    `${file} is not a valid plugin manifest; correct this and load it again: ${problems}`,
});

/** A plugin's configuration does not fit its schema. */
export const PluginConfigInvalid: ErrorType<'plugin' | 'problems'> = defineKernelError({
  reason: 'PLUGIN_CONFIG_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ plugin, problems }) =>
    `The configuration of plugin '${plugin}' does not fit its schema: ${problems}; correct it in config.json under plugins.`,
});

/** The kernel tried a step that the life cycle does not have. */
export const IllegalTransition: ErrorType<'state' | 'event'> = defineKernelError({
  reason: 'ILLEGAL_TRANSITION',
  code: Code.INTERNAL,
  message: ({ state, event }) =>
    `A plugin that is ${state} cannot '${event}'; this is a fault of the kernel, please report it.`,
});
