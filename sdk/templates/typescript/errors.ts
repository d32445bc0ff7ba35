import { Code, defineError, type ErrorType } from 'lamella/sdk';

/** Callers get the reason and the message; any other error reaches only the log. */
export const NameMissing: ErrorType = defineError({
  reason: 'NAME_MISSING',
  code: Code.INVALID_ARGUMENT,
  message: () => 'The request has no name; say who is to be greeted.',
});
