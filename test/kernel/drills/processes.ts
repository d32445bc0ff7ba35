import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import * as grpc from '@grpc/grpc-js';

const identity = (bytes: Buffer): Buffer => bytes;

/** A call by somebody else's client with bytes of our choice; errors are answers too. */
export async function rawCall(
  address: string,
  path: string,
  bytes: Buffer,
): Promise<{ readonly code: number; readonly text: string; readonly bytes: Buffer }> {
  const client = new grpc.Client(address, grpc.credentials.createInsecure(), {
    'grpc.max_receive_message_length': -1,
    'grpc.max_send_message_length': -1,
  });
  try {
    return await new Promise((resolve) => {
      const options = { deadline: Date.now() + 20_000 };
      client.makeUnaryRequest(
        path,
        identity,
        identity,
        bytes,
        new grpc.Metadata(),
        options,
        (error, answer) => {
          const got = answer ?? Buffer.alloc(0);
          resolve({ code: error?.code ?? 0, text: error?.details ?? '', bytes: got });
        },
      );
    });
  } finally {
    client.close();
  }
}

/** A message with one text in field 1. */
export function textMessage(text: string): Buffer {
  const content = Buffer.from(text);
  return Buffer.concat([Buffer.from([10, content.length]), content]);
}

/** Waits for what gives no event, at most 20 seconds. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const endMs = performance.now() + 20_000; performance.now() < endMs;) {
    if (await holds()) return;
    await new Promise<void>((resolve) => {
      setTimeout(resolve, 10);
    });
  }
  assert.fail(`not within 20 s: ${what}`);
}

/** Processes whose environment or command line holds a text, without this one. */
export async function processesWith(text: string): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    const read = (file: string): Promise<string> => readFile(`/proc/${name}/${file}`, 'utf8').catch(() => '');
    // A zombie has neither.
    if (`${await read('environ')}${await read('cmdline')}`.includes(text)) found.push(Number(name));
  }
  return found;
}
