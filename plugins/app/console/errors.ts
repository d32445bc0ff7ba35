import { Code, defineError, type ErrorType } from 'lamella/sdk';

/** A request of the page, or of whoever imitates it, that cannot be read. */
export const ConsoleRequestInvalid: ErrorType<'problem'> = defineError({
  reason: 'CONSOLE_REQUEST_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ problem }) => `The request cannot be read: ${problem}.`,
});
