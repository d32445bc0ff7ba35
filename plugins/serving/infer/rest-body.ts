import { promisify } from 'node:util';
import { gunzip, inflate } from 'node:zlib';
import { RequestInvalid } from './errors.ts';

/** Largest body once it is unpacked, in bytes; Triton's limit of a body. */
const MAX_UNPACKED_BYTES = 64 * 1_024 * 1_024;

const DECODERS: Readonly<Record<string, (bytes: Uint8Array, options: object) => Promise<Buffer>>> = {
  gzip: promisify(gunzip),
  deflate: promisify(inflate),
};

/** Body of a request, unpacked where it is gzip or deflate; a small one that unpacks to a huge one is refused. */
export async function readBody(request: Request): Promise<Uint8Array> {
  const bytes = new Uint8Array(await request.arrayBuffer());
  const encoding = request.headers.get('content-encoding')?.trim().toLowerCase() ?? 'identity';
  if (encoding === 'identity' || encoding === '') return bytes;
  const decode = Object.hasOwn(DECODERS, encoding) ? DECODERS[encoding] : undefined;
  if (decode === undefined) {
    throw new RequestInvalid({ problem: 'the Content-Encoding is not supported; use gzip, deflate or none' });
  }
  try {
    return await decode(bytes, { maxOutputLength: MAX_UNPACKED_BYTES });
  } catch (error) {
    const problem = `the body is no ${encoding}, or has more than ${MAX_UNPACKED_BYTES} bytes when it is unpacked`;
    throw new RequestInvalid({ problem }, { cause: error });
  }
}

/** Body as a JSON object; an empty body is an empty object. @throws REQUEST_INVALID */
export async function readBodyObject(request: Request): Promise<Readonly<Record<string, unknown>>> {
  const text = new TextDecoder().decode(await readBody(request));
  if (text.trim() === '') return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  } catch {
    // Falls through to the same sentence.
  }
  throw new RequestInvalid({ problem: 'the body must be a JSON object or empty' });
}
