// Calls to the server, with errors that say what went wrong.

import { credentials, signIn } from './sign-in.js';
import { text } from './text.js';

export const MODEL = 'digits';

/** An answer of the server that is not what was asked for. */
export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Sends JSON, or nothing for GET, and returns the answer; asks for a key when the server wants to know who calls. */
export async function request(path, options = {}) {
  let response = await send(path, options);
  while (response.status === 401 && (await signIn())) response = await send(path, options);
  if (response.ok) return response;
  const { error } = await response.json().catch(() => ({}));
  throw new ApiError(error?.message ?? error ?? response.statusText, response.status);
}

async function send(path, { body, signal }) {
  const isJson = body !== undefined;
  try {
    return await fetch(path, {
      signal,
      method: isJson ? 'POST' : 'GET',
      headers: { ...credentials(), ...(isJson && { 'content-type': 'application/json' }) },
      ...(isJson && { body: JSON.stringify(body) }),
    });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError(text('unreachable'), 0);
  }
}

/** The sentence for a failure. */
export function failure(error) {
  return text('failed', { problem: error.message });
}
