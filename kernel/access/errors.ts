import { Code, type ErrorType } from '../../sdk/index.ts';
import { defineKernelError } from '../kernel-error.ts';

/** Credentials were sent and are not accepted. */
export const CredentialsInvalid: ErrorType<'problem'> = defineKernelError({
  reason: 'CREDENTIALS_INVALID',
  code: Code.UNAUTHENTICATED,
  message: ({ problem }) => `The credentials are not accepted: ${problem}.`,
});

/** A caller without credentials asks for something that needs them. */
export const CredentialsRequired: ErrorType<'operation' | 'rule'> = defineKernelError({
  reason: 'CREDENTIALS_REQUIRED',
  code: Code.UNAUTHENTICATED,
  message: ({ operation, rule }) =>
    `${operation} needs credentials (${rule}). Send an API key as 'authorization: Bearer lml_…' or 'x-api-key'; ` +
    "'lamella key create NAME --scope ROLE' makes one. The command line finds the owner's token by LAMELLA_HOME or --home.",
});

/** A known caller asks for something that its roles do not allow. */
export const AccessDenied: ErrorType<'operation' | 'principal' | 'rule'> = defineKernelError({
  reason: 'ACCESS_DENIED',
  code: Code.PERMISSION_DENIED,
  message: ({ operation, principal, rule }) =>
    `${principal} may not call ${operation} (${rule}); give it a role that allows this. ` +
    "'lamella access explain' shows how a decision is made.",
});

/** A caller makes more calls than its limit. */
export const RateLimited: ErrorType<'principal' | 'limit'> = defineKernelError({
  reason: 'RATE_LIMITED',
  code: Code.RESOURCE_EXHAUSTED,
  retryAfterMs: 1_000,
  message: ({ principal, limit }) =>
    `${principal} makes more than ${limit}; wait as long as the answer says, or raise access.limits.`,
});

/** The kernel would be open to the network. */
export const ListenerUnprotected: ErrorType<'host'> = defineKernelError({
  reason: 'LISTENER_UNPROTECTED',
  code: Code.FAILED_PRECONDITION,
  message: ({ host }) =>
    `Nobody could be told apart on ${host}, which other machines reach. Make an API key ('lamella key create NAME --scope user'), ` +
    'or configure access.jwt, or access.peers with tls.clientCa, and start again; or listen on 127.0.0.1.',
});

/** No API key has that name. */
export const ApiKeyNotFound: ErrorType<'key'> = defineKernelError({
  reason: 'API_KEY_NOT_FOUND',
  code: Code.NOT_FOUND,
  message: ({ key }) => `There is no API key '${key}'; 'lamella key list' shows the names.`,
});

/** An API key of that name exists. */
export const ApiKeyExists: ErrorType<'key'> = defineKernelError({
  reason: 'API_KEY_EXISTS',
  code: Code.ALREADY_EXISTS,
  message: ({ key }) => `API key '${key}' exists; revoke it first, or choose another name.`,
});

/** An API key cannot be made from this. */
export const ApiKeyInvalid: ErrorType<'problem'> = defineKernelError({
  reason: 'API_KEY_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ problem }) => `The API key cannot be made: ${problem}.`,
});

/** A decision was asked for a caller that is not known. */
export const PrincipalUnknown: ErrorType<'principal'> = defineKernelError({
  reason: 'PRINCIPAL_UNKNOWN',
  code: Code.INVALID_ARGUMENT,
  message: ({ principal }) =>
    `'${principal}' is no caller; write anonymous, owner, key:NAME, role:NAME or peer:spiffe://….`,
});

/** Certificate, key and authorities cannot be used together. */
export const TlsFilesInvalid: ErrorType<'files' | 'problem'> = defineKernelError({
  reason: 'TLS_FILES_INVALID',
  code: Code.FAILED_PRECONDITION,
  message: ({ files, problem }) =>
    `TLS cannot be served from ${files} (${problem}); give PEM files of a certificate chain and of its key.`,
});
