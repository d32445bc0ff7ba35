import { Code, isDeclaredError } from '../../../sdk/index.ts';
import { StatusError } from '../../status-error.ts';
import { encodeField } from '../../wire/http2/header-encoder.ts';
import { base64Value, isOwn, wireValue } from '../../wire/call-metadata.ts';
import { statusMessage } from '../status-details.ts';
import { toStatus, type WireStatus } from '../status.ts';
import { ACCEPTED_ENCODINGS } from './inflate.ts';

/** Entries of metadata in the order in which they go on the wire. */
export type Metadata = Iterable<readonly [name: string, value: string | Uint8Array]>;

/** Told of metadata that cannot be sent and was left out. */
export type OnInvalid = (error: unknown) => void;

/** Field `:status: 200` by its index in the static table, RFC 7541 appendix A. */
const STATUS_200 = Buffer.from([0x88]);

/** The head of an answer without metadata. */
export const HEAD: Buffer = Buffer.concat([STATUS_200, encodeField('content-type', 'application/grpc')]);

/** The end of an answer that went well, without metadata. */
export const OK: Buffer = encodeField('grpc-status', '0');

/** Plugins set what they like; what gRPC cannot carry must not take the answer, or the kernel, down with it. */
export function encodeMetadata(metadata: Metadata, onInvalid: OnInvalid): Buffer {
  const fields: Buffer[] = [];
  for (const [name, value] of metadata) {
    if (!isOwn(name)) continue;
    try {
      fields.push(encodeField(name, wireValue(name, value)));
    } catch (error) {
      onInvalid(error);
    }
  }
  return Buffer.concat(fields);
}

/** Statuses of errors that are thrown again and again: under overload a call must be refused at next to no cost. */
const known: WeakMap<object, Buffer> = new WeakMap();

/** How a call ended, without metadata of its own. @param requestId - Asked only for errors that nobody declared. */
export function encodeFailure(error: unknown, requestId: () => string, onInvalid: OnInvalid): Buffer {
  const found = typeof error === 'object' && error !== null ? known.get(error) : undefined;
  if (found !== undefined) return found;
  const status = toStatus(error, requestId);
  const block = Buffer.concat([encodeStatus(status), encodeMetadata(status.trailers, onInvalid)]);
  if (isDeclaredError(error) || error instanceof StatusError) known.set(error, block);
  return block;
}

function encodeStatus({ code, message, detailsBin }: WireStatus): Buffer {
  const fields = [encodeField('grpc-status', String(code))];
  if (message !== '') fields.push(encodeField('grpc-message', percentEncoded(statusMessage(message))));
  if (detailsBin !== undefined) fields.push(encodeField('grpc-status-details-bin', base64Value(detailsBin)));
  // Without it, a client that compresses in a way nobody knows does not learn which ones there are.
  if (code === Code.UNIMPLEMENTED) fields.push(encodeField('grpc-accept-encoding', ACCEPTED_ENCODINGS));
  return Buffer.concat(fields);
}

/** All there is of an answer that is an HTTP status. */
export function encodeHttpStatus(status: string): Buffer {
  return encodeField(':status', status);
}

/** `grpc-message`: UTF-8, of which all but printable ASCII is percent-encoded. */
function percentEncoded(text: string): string {
  return text.replaceAll(/[^ -$&-~]+/g, (odd) =>
    Buffer.from(odd)
      .toString('hex')
      .toUpperCase()
      .replaceAll(/../g, (byte) => `%${byte}`),
  );
}
