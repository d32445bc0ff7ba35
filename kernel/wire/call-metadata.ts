import type { CallHeaders } from '../../sdk/index.ts';
import { LinkHeaderInvalid } from './errors.ts';
import type { HeaderBlock } from './http2/protocol.ts';

/** Names that belong to the protocol or to one hop; callers cannot set them and never see them. */
const RESERVED: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'content-type',
  'date',
  'grpc-accept-encoding',
  'grpc-encoding',
  'grpc-message',
  'grpc-status',
  'grpc-status-details-bin',
  'grpc-timeout',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);

const NAME = /^[0-9a-z_.-]+$/;
const TEXT = /^[\x20-\x7e]*$/;
/** Longest time that fits the eight digits of `grpc-timeout` in milliseconds: about 27 hours. */
const TIMEOUT_LIMIT_MS = 99_999_999;

/**
 * Adds metadata to the fields of a header block; reserved names are passed over.
 *
 * @throws LINK_HEADER_INVALID
 */
export function addMetadata(block: Record<string, string>, headers: CallHeaders): void {
  for (const [name, value] of headers) {
    if (isOwn(name)) block[name] = wireValue(name, value);
  }
}

/** Whether metadata of that name belongs to callers, not to the protocol. */
export function isOwn(name: string): boolean {
  return !RESERVED.has(name) && !name.startsWith(':');
}

/** The value of a header as it goes on the wire. @throws LINK_HEADER_INVALID */
export function wireValue(name: string, value: string | Uint8Array): string {
  return typeof value === 'string' ? textValue(name, value) : binaryValue(name, value);
}

function textValue(name: string, value: string): string {
  if (!NAME.test(name)) throw new LinkHeaderInvalid({ header: name, fault: 'the name is not valid' });
  if (name.endsWith('-bin')) throw new LinkHeaderInvalid({ header: name, fault: 'the value is not bytes' });
  if (!TEXT.test(value))
    throw new LinkHeaderInvalid({ header: name, fault: 'the value is not printable ASCII' });
  return value;
}

function binaryValue(name: string, value: Uint8Array): string {
  if (!NAME.test(name) || !name.endsWith('-bin')) {
    throw new LinkHeaderInvalid({ header: name, fault: 'the name of bytes must end in -bin' });
  }
  return base64Value(value);
}

/** Bytes as the value of a header whose name ends in `-bin`. */
export function base64Value(value: Uint8Array): string {
  const base64 = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
  // Unpadded as the specification recommends; readers must take both.
  return base64.replace(/=+$/, '');
}

/** Metadata of a received header block, without what belongs to the protocol. */
export function readMetadata(block: HeaderBlock): CallHeaders {
  const headers: CallHeaders = new Map();
  for (const name in block) {
    if (!isOwn(name)) continue;
    const value = block[name];
    if (value !== undefined) headers.set(name, decodeValue(name, value));
  }
  return headers;
}

function decodeValue(name: string, text: string): string | Uint8Array {
  if (!name.endsWith('-bin')) return text;
  // Values of a repeated key are joined by commas; CallHeaders holds one value, the first.
  const [first = ''] = text.split(',');
  return new Uint8Array(Buffer.from(first, 'base64'));
}

/** Value of `grpc-timeout` for a time left in milliseconds; at least 1 ms, so that it never means "no time". */
export function timeoutValue(leftMs: number): string {
  const wholeMs = Math.max(1, Math.ceil(leftMs));
  return wholeMs <= TIMEOUT_LIMIT_MS
    ? `${wholeMs}m`
    : `${Math.min(TIMEOUT_LIMIT_MS, Math.ceil(wholeMs / 1_000))}S`;
}
