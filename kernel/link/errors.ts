import { Code, type ErrorType } from '../../sdk/index.ts';
import { defineKernelError } from '../kernel-error.ts';

/** No connection to the other side could be made. */
export const LinkUnreachable: ErrorType<'address' | 'cause'> = defineKernelError({
  reason: 'LINK_UNREACHABLE',
  code: Code.UNAVAILABLE,
  retryAfterMs: 250,
  message: ({ address, cause }) =>
    `Nothing that speaks gRPC answers at ${address} (${cause}); check that the process runs and listens there.`,
});

/** The connection ended while the call was running. */
export const LinkLost: ErrorType<'address'> = defineKernelError({
  reason: 'LINK_LOST',
  code: Code.UNAVAILABLE,
  retryAfterMs: 250,
  message: ({ address }) =>
    `The connection to ${address} ended before the answer was complete; retry if the method may run twice.`,
});

/** The link was closed on this side, or could not be made anew after it was lost. */
export const LinkClosed: ErrorType<'address'> = defineKernelError({
  reason: 'LINK_CLOSED',
  code: Code.UNAVAILABLE,
  retryAfterMs: 250,
  message: ({ address }) =>
    `The link to ${address} is closed; retry when its process has been started again.`,
});

/** The other side did not take the call, which therefore never began. */
export const LinkRefused: ErrorType<'address'> = defineKernelError({
  reason: 'LINK_REFUSED',
  code: Code.UNAVAILABLE,
  retryAfterMs: 250,
  message: ({ address }) => `${address} takes no further calls at the moment; retry later.`,
});

/** The answer breaks the gRPC protocol. */
export const LinkProtocolBroken: ErrorType<'address' | 'fault'> = defineKernelError({
  reason: 'LINK_PROTOCOL_BROKEN',
  code: Code.INTERNAL,
  message: ({ address, fault }) =>
    `The answer of ${address} is not valid gRPC (${fault}); check that a gRPC server of a current version listens there.`,
});

/** The deadline passed on this side. */
export const LinkDeadlineExceeded: ErrorType = defineKernelError({
  reason: 'LINK_DEADLINE_EXCEEDED',
  code: Code.DEADLINE_EXCEEDED,
  message: () => 'The deadline of the call passed; give it more time or ask for less.',
});

/** The caller does not want the answer any more. */
export const LinkCancelled: ErrorType = defineKernelError({
  reason: 'LINK_CANCELLED',
  code: Code.CANCELLED,
  message: () => 'The caller cancelled the call; call again if the answer is still wanted.',
});
