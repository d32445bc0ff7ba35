import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** Types of HTTP/2 frames. */
export const Frame = {
  DATA: 0,
  HEADERS: 1,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

/** Flags of frames. */
export const END_STREAM = 1;
export const END_HEADERS = 4;
export const PADDED = 8;

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** One frame, sound or not. */
export function frameOf(
  type: number,
  [flags, stream]: readonly [number, number],
  payload: Uint8Array = new Uint8Array(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A frame whose payload is one number. */
export function numberFrame(type: number, stream: number, value: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(value);
  return frameOf(type, [0, stream], payload);
}

/** A header block without compression. */
export function headerBlock(fields: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([name, value]) => [Buffer.from([0x10]), literal(name), literal(value)]),
  );
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const head = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest >>= 7) head.push((rest & 127) | 128);
  return Buffer.concat([Buffer.from([...head, rest]), bytes]);
}

/** The headers of a gRPC call, and others. */
export function callHeaders(path: string, more: readonly (readonly [string, string])[] = []): Buffer {
  return headerBlock([
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', 'localhost'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ...more,
  ]);
}

/** A gRPC message in a DATA frame. */
export function messageFrame(
  stream: number,
  message: Uint8Array,
  [flags, size]: readonly number[] = [],
): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flags ?? 0);
  head.writeUInt32BE(size ?? message.length, 1);
  return frameOf(Frame.DATA, [END_STREAM, stream], Buffer.concat([head, message]));
}

/** Type and stream of a frame that came. */
export interface ReceivedFrame {
  readonly type: number;
  readonly stream: number;
}

/** A client that sends what it likes. */
export class RawClient {
  readonly socket: Socket;
  /** Frames that came so far. */
  readonly frames: ReceivedFrame[] = [];
  #rest: Buffer = Buffer.alloc(0);
  readonly #waiting: Set<() => void> = new Set();

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
  }

  /** Connects and sends nothing. */
  static async connect(address: string): Promise<RawClient> {
    const [host = '', port = ''] = address.split(':');
    const client = new RawClient(connect(Number(port), host));
    await once(client.socket, 'connect');
    return client;
  }

  /** Connects, greets as HTTP/2 wants it, and says with which settings. */
  static async greet(
    address: string,
    settings: readonly (readonly [number, number])[] = [],
  ): Promise<RawClient> {
    const client = await RawClient.connect(address);
    const payload = Buffer.alloc(settings.length * 6);
    for (const [index, [id, value]] of settings.entries()) {
      payload.writeUInt16BE(id, index * 6);
      payload.writeUInt32BE(value, index * 6 + 2);
    }
    client.send(PREFACE, frameOf(Frame.SETTINGS, [0, 0], payload));
    return client;
  }

  send(...frames: readonly Uint8Array[]): void {
    if (this.socket.writable) this.socket.write(Buffer.concat(frames));
  }

  #take(chunk: Buffer): void {
    const bytes = Buffer.concat([this.#rest, chunk]);
    let at = 0;
    for (let size = 0; at + 9 <= bytes.length; at += size) {
      size = 9 + bytes.readUIntBE(at, 3);
      if (at + size > bytes.length) break;
      this.frames.push({ type: bytes.readUInt8(at + 3), stream: bytes.readUInt32BE(at + 5) });
    }
    this.#rest = bytes.subarray(at);
    for (const look of this.#waiting) look();
  }

  /** Whether a frame of a type has come on a stream. */
  has(type: number, stream: number): boolean {
    return this.frames.some((frame) => frame.type === type && frame.stream === stream);
  }

  /** Resolves when a frame of a type has come on a stream. */
  async got(type: number, stream: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (!this.has(type, stream)) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** Resolves when the other side has ended the connection. */
  async closed(): Promise<void> {
    // Not `once`: an error is on the way to it.
    if (!this.socket.closed) await new Promise((resolve) => this.socket.once('close', resolve));
  }

  close(): void {
    this.socket.destroy();
  }
}
