import type { CallContext } from 'lamella/sdk';

/** Tells when nobody waits for a request any more. */
export interface Cancellation {
  /** Calls the listener once it is so, at once if it is so already. */
  subscribe(listener: () => void): void;
  /** Forgets a listener; not there where the listeners go away with the call. */
  unsubscribe?(listener: () => void): void;
}

/**
 * The cancellation of a call that makes one request.
 *
 * @remarks An AbortSignal made for one call costs a fifth of that call, so it is asked for only where there is no other way.
 */
export function callCancellation(context: CallContext): Cancellation {
  if (context.onAbort === undefined) return signalCancellation(context.signal);
  return { subscribe: (listener) => context.onAbort?.(listener) };
}

/** The cancellation of all that depends on a signal, for example the requests of a stream. */
export function signalCancellation(signal: AbortSignal): Cancellation {
  return {
    subscribe(listener) {
      if (signal.aborted) listener();
      else signal.addEventListener('abort', listener, { once: true });
    },
    unsubscribe: (listener) => signal.removeEventListener('abort', listener),
  };
}
