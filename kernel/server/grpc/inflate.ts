import { promisify } from 'node:util';
import { gunzip, inflate as inflateZlib } from 'node:zlib';
import { Code } from '../../../sdk/index.ts';
import { LinkMessageTooLarge } from '../../wire/errors.ts';
import { StatusError } from '../../status-error.ts';

/** Ways to compress a message (gRPC's "compression.md"); its deflate is that of zlib, with a head. */
export type MessageEncoding = 'gzip' | 'deflate';

const DECODERS = { gzip: promisify(gunzip), deflate: promisify(inflateZlib) } as const;

export function isEncoding(name: string): name is MessageEncoding {
  return Object.hasOwn(DECODERS, name);
}

/** Names of the encodings that are taken, for clients. */
export const ACCEPTED_ENCODINGS: string = ['identity', ...Object.keys(DECODERS)].join(',');

/**
 * The message as it was before it was compressed.
 *
 * @throws LINK_MESSAGE_TOO_LARGE before more than the limit is in memory; a status for what is not compressed as it says.
 */
export async function inflate(
  message: Uint8Array,
  encoding: MessageEncoding,
  limitBytes: number,
): Promise<Uint8Array> {
  try {
    return await DECODERS[encoding](message, { maxOutputLength: limitBytes });
  } catch (cause) {
    const isTooLarge = (cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
    if (isTooLarge)
      throw new LinkMessageTooLarge(
        { size: `more than ${limitBytes}`, limit: String(limitBytes) },
        { cause },
      );
    throw new StatusError({
      code: Code.INTERNAL,
      message: `A message is not compressed with ${encoding} as the call says; check the client's compression.`,
    });
  }
}
