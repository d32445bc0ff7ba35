// Calls to the server, with errors that say what went wrong.

import { text } from './text.js';

export const MODEL = 'digits';

/** An answer of the server that is not what was asked for. */
export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Sends JSON, or nothing for GET, and returns the answer. */
export async function request(path, { body, signal } = {}) {
  let response;
  try {
    response = await fetch(path, {
      signal,
      method: body === undefined ? 'GET' : 'POST',
      ...(body !== undefined && {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }),
    });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError(text('unreachable'), 0);
  }
  if (response.ok) return response;
  const { error } = await response.json().catch(() => ({}));
  throw new ApiError(error?.message ?? error ?? response.statusText, response.status);
}

/** The sentence for a failure. */
export function failure(error) {
  return text('failed', { problem: error.message });
}
