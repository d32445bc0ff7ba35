import { Code, type ErrorType } from '../../sdk/index.ts';
import { defineKernelError } from '../kernel-error.ts';

/** The request cannot be put into an HTTP/2 header block. */
export const LinkHeaderInvalid: ErrorType<'header' | 'fault'> = defineKernelError({
  reason: 'LINK_HEADER_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ header, fault }) =>
    `The metadata '${header}' cannot be sent (${fault}); use lower-case ASCII names, printable ASCII text, and a name that ends in -bin for bytes.`,
});

/** A message is longer than the link takes. */
export const LinkMessageTooLarge: ErrorType<'size' | 'limit'> = defineKernelError({
  reason: 'LINK_MESSAGE_TOO_LARGE',
  code: Code.RESOURCE_EXHAUSTED,
  message: ({ size, limit }) =>
    `A message of ${size} bytes is over the limit of ${limit} bytes; split it, or use a streaming method.`,
});
