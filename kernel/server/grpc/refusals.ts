import { Code } from '../../../sdk/index.ts';
import { ServerOverloaded } from '../../errors.ts';
import { StatusError } from '../../status-error.ts';
import { encodeFailure, HEAD } from './answer-blocks.ts';
import type { RequestHead } from './request-head.ts';

/** The whole answer to a call that comes when there are too many, ready to be sent. */
export const OVERLOADED: Buffer = Buffer.concat([
  HEAD,
  encodeFailure(
    new ServerOverloaded({}),
    () => '',
    () => undefined,
  ),
]);

/** Why a call with that head is refused before anything else of it is looked at. */
export function refusalOf({ leftMs, encoding, block }: RequestHead): StatusError | undefined {
  if (Number.isNaN(leftMs)) return malformed('its grpc-timeout is not a time');
  if (encoding !== 'unknown') return undefined;
  const message = `Messages cannot be compressed with '${block['grpc-encoding'] ?? ''}' here; use gzip, deflate or none.`;
  return new StatusError({ code: Code.UNIMPLEMENTED, message });
}

/** The status of a call that breaks the protocol. */
export function malformed(fault: string): StatusError {
  const message = `The call is not valid gRPC: ${fault}; check the client.`;
  return new StatusError({ code: Code.INTERNAL, message });
}
