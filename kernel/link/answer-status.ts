import { Code, type DeclaredError } from '../../sdk/index.ts';
import { StatusError } from '../status-error.ts';
import { LinkLost, LinkProtocolBroken, LinkRefused } from './errors.ts';
import { readMetadata } from '../wire/call-metadata.ts';
import { ErrorCode, type HeaderBlock } from '../wire/http2/protocol.ts';

/** Highest status code of gRPC. */
const LAST_CODE = 16;

/** HTTP status to gRPC status for answers without one (gRPC specification, "HTTP to gRPC Status Code Mapping"). */
const HTTP_CODES: ReadonlyMap<number, Code> = new Map<number, Code>([
  [400, Code.INTERNAL],
  [401, Code.UNAUTHENTICATED],
  [403, Code.PERMISSION_DENIED],
  [404, Code.UNIMPLEMENTED],
  [429, Code.UNAVAILABLE],
  [502, Code.UNAVAILABLE],
  [503, Code.UNAVAILABLE],
  [504, Code.UNAVAILABLE],
]);

/**
 * What the answer's last header block says of the call.
 *
 * @returns `undefined` when the call went well, else the error that stands for its status.
 */
export function readStatus(block: HeaderBlock, address: string): Error | undefined {
  const sent = block['grpc-status'];
  if (sent === '0') return undefined;
  const code = sent !== undefined && /^\d{1,2}$/.test(sent) ? Number(sent) : undefined;
  if (code === undefined || code > LAST_CODE) {
    const fault = sent === undefined ? 'it has no grpc-status' : 'its grpc-status is not a status code';
    return new LinkProtocolBroken({ address, fault });
  }
  if (code === 0) return undefined;
  return new StatusError({
    code: code as Code,
    message: decodeMessage(block['grpc-message']),
    detailsBin: decodeDetails(block['grpc-status-details-bin']),
    trailers: readMetadata(block),
  });
}

/** The error of an answer that is no gRPC at all, or `undefined` when its first header block is in order. */
export function readHeadersFault(block: HeaderBlock, address: string): Error | undefined {
  const status = Number(block[':status']);
  const type = block['content-type'];
  if (status === 200 && type?.startsWith('application/grpc') === true) return undefined;
  if (status === 200) {
    return new LinkProtocolBroken({ address, fault: `its content type is '${clip(type ?? '')}'` });
  }
  return new StatusError({
    code: HTTP_CODES.get(status) ?? Code.UNKNOWN,
    message: `${address} answered with HTTP status ${status}; check that a gRPC server listens there.`,
  });
}

/** The error of a call whose stream the other side reset (gRPC specification, "Errors"). */
export function resetError(rstCode: number, address: string): Error {
  if (rstCode === ErrorCode.refusedStream) return new LinkRefused({ address });
  if (rstCode === ErrorCode.noError)
    return new LinkProtocolBroken({ address, fault: 'it ended without a status' });
  const code = {
    [ErrorCode.cancel]: Code.CANCELLED,
    [ErrorCode.enhanceYourCalm]: Code.RESOURCE_EXHAUSTED,
    [ErrorCode.inadequateSecurity]: Code.PERMISSION_DENIED,
  }[rstCode];
  return new StatusError({
    code: code ?? Code.INTERNAL,
    message: `${address} broke off the call (HTTP/2 error ${rstCode}).`,
  });
}

/** The error of a call whose connection ended. */
export function lostError(address: string, cause?: unknown): DeclaredError {
  return new LinkLost({ address }, { cause });
}

/** `grpc-message` is percent-encoded UTF-8; what is not stays as it is, because a bad message must not hide a status. */
function decodeMessage(value: string | undefined): string {
  const text = value ?? '';
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function decodeDetails(value: string | undefined): Uint8Array | undefined {
  return value === undefined ? undefined : new Uint8Array(Buffer.from(value, 'base64'));
}

function clip(text: string): string {
  return text.length <= 100 ? text : `${text.slice(0, 100)}…`;
}
