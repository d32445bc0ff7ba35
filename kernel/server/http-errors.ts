import { Code, type ErrorType } from '../../sdk/index.ts';
import { defineKernelError } from '../kernel-error.ts';

/** No plugin answers under this path. */
export const HttpPathNotFound: ErrorType<'path' | 'known'> = defineKernelError({
  reason: 'HTTP_PATH_NOT_FOUND',
  code: Code.NOT_FOUND,
  message: ({ path, known }) => `Nothing answers at '${path}'; this kernel answers under: ${known}.`,
});

/** Another plugin holds the prefix. */
export const HttpPrefixTaken: ErrorType<'prefix' | 'owner'> = defineKernelError({
  reason: 'HTTP_PREFIX_TAKEN',
  code: Code.ALREADY_EXISTS,
  message: ({ prefix, owner }) =>
    `HTTP prefix '${prefix}' already belongs to '${owner}'; choose another "capabilities.httpPrefix" in plugin.json.`,
});

/** The prefix has not the form of one. */
export const HttpPrefixInvalid: ErrorType<'prefix'> = defineKernelError({
  reason: 'HTTP_PREFIX_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ prefix }) =>
    `HTTP prefix '${prefix}' is not valid; it starts with '/', does not end with one and uses letters, digits, '-', '.', '_', or is just '/'.`,
});

/** The request body is larger than the listener takes. */
export const HttpBodyTooLarge: ErrorType<'limit'> = defineKernelError({
  reason: 'HTTP_BODY_TOO_LARGE',
  code: Code.RESOURCE_EXHAUSTED,
  message: ({ limit }) =>
    `The request body is larger than ${limit} bytes; send it in parts, or raise the kernel's maxHttpBodyBytes.`,
});

/** The client sends its body too slowly or stopped sending. */
export const HttpBodyTimeout: ErrorType<'timeoutMs'> = defineKernelError({
  reason: 'HTTP_BODY_TIMEOUT',
  code: Code.DEADLINE_EXCEEDED,
  message: ({ timeoutMs }) =>
    `No byte of the request body arrived for ${timeoutMs} ms; send the request again.`,
});

/** The client went away. */
export const HttpClientGone: ErrorType = defineKernelError({
  reason: 'HTTP_CLIENT_GONE',
  code: Code.CANCELLED,
  message: () =>
    'The client closed the connection before the request was complete; send it again if it still matters.',
});

/** The listener cannot pass this request to a handler. */
export const HttpRequestInvalid: ErrorType<'problem'> = defineKernelError({
  reason: 'HTTP_REQUEST_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ problem }) => `The HTTP request is not valid: ${problem}.`,
});

/** The Host header names another machine: a sign of DNS rebinding. */
export const HttpHostRefused: ErrorType<'host'> = defineKernelError({
  reason: 'HTTP_HOST_REFUSED',
  code: Code.PERMISSION_DENIED,
  message: ({ host }) =>
    `Host '${host}' is not served here; use localhost, or add the name to the kernel's allowedHosts.`,
});

/** A web page of another origin tries to change something. */
export const HttpOriginRefused: ErrorType<'origin'> = defineKernelError({
  reason: 'HTTP_ORIGIN_REFUSED',
  code: Code.PERMISSION_DENIED,
  message: ({ origin }) =>
    `Pages of '${origin}' may not call this kernel; add the origin to the kernel's allowedOrigins if it is yours.`,
});
