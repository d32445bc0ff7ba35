import { Code, defineError, type ErrorType } from '../../../sdk/index.ts';

/** The `.proto` text that a plugin ships cannot be used. */
export const ProtoTextInvalid: ErrorType<'plugin' | 'file' | 'problem'> = defineError({
  reason: 'PROTO_TEXT_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ plugin, file, problem }) =>
    `The proto text of plugin '${plugin}' cannot be used, ${file}: ${problem}`,
});

/** A service has no descriptor, so that the kernel knows none of its methods. */
export const ServiceUndescribed: ErrorType<'plugin' | 'service' | 'hint'> = defineError({
  reason: 'SERVICE_UNDESCRIBED',
  code: Code.FAILED_PRECONDITION,
  message: ({ plugin, service, hint }) =>
    `Plugin '${plugin}' provides ${service}, but no .proto text describes it; ${hint}`,
});
