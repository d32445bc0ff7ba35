import type net from 'node:net';
import { LinkClient } from '../../../kernel/link/link-client.ts';
import { END_HEADERS, END_STREAM, Frame, frameOf } from '../../support/raw-http2.ts';
import { plainServer, socketFolder } from './server-fixture.ts';

/** A frame that came in. */
export interface ReceivedFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** A setting, as a SETTINGS frame holds it. */
export function setting(id: number, value: number): Buffer {
  const bytes = Buffer.alloc(6);
  bytes.writeUInt16BE(id);
  bytes.writeUInt32BE(value, 2);
  return bytes;
}

/** A number of 32 bits. */
export function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Header block of an answer: `:status: 200` and the content type, both without Huffman code. */
export const ANSWER_BLOCK: Buffer = Buffer.concat([
  Buffer.from([0x88, 0x0f, 0x10, 16]),
  Buffer.from('application/grpc'),
]);

/** Trailers that say OK. */
export const OK_BLOCK: Buffer = Buffer.concat([
  Buffer.from([0x00, 11]),
  Buffer.from('grpc-status'),
  Buffer.from([1]),
  Buffer.from('0'),
]);

/** A gRPC message of one letter, with its prefix. */
export const MESSAGE: Buffer = Buffer.from([0, 0, 0, 0, 1, 0x41]);

const PREFACE_BYTES = 24;

/** The server's half of an HTTP/2 connection, written by hand frame by frame. */
export class RawPeer {
  readonly #socket: net.Socket;
  #rest: Buffer = Buffer.alloc(0);
  #skipped = 0;

  constructor(socket: net.Socket, onFrame: (received: ReceivedFrame, peer: RawPeer) => void) {
    this.#socket = socket;
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      this.#rest = Buffer.concat([this.#rest, chunk]);
      for (const received of this.#take()) onFrame(received, this);
    });
  }

  send(...frames: readonly Buffer[]): void {
    this.#socket.write(Buffer.concat(frames));
  }

  *#take(): Generator<ReceivedFrame> {
    if (this.#skipped === 0 && this.#rest.length >= PREFACE_BYTES) {
      this.#skipped = PREFACE_BYTES;
      this.#rest = this.#rest.subarray(PREFACE_BYTES);
    }
    while (this.#skipped > 0 && this.#rest.length >= 9) {
      const end = 9 + this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < end) return;
      const whole = this.#rest.subarray(0, end);
      this.#rest = this.#rest.subarray(end);
      yield {
        type: whole[3] ?? 0,
        flags: whole[4] ?? 0,
        streamId: whole.readUInt32BE(5),
        payload: whole.subarray(9),
      };
    }
  }
}

/** What is done with a frame that came in. */
export type OnFrame = (received: ReceivedFrame, peer: RawPeer) => void;

/** Answers every call with these bytes, made for its stream. */
export function answering(make: (streamId: number) => Buffer): OnFrame {
  return (each, peer) => {
    if (isEndOfRequest(each)) peer.send(make(each.streamId));
  };
}

export function isEndOfRequest({ type, flags }: ReceivedFrame): boolean {
  return type === Frame.DATA && (flags & END_STREAM) !== 0;
}

/** A whole answer to a call, in three frames. */
export function answer(streamId: number): Buffer {
  return Buffer.concat([
    frameOf(Frame.HEADERS, [END_HEADERS, streamId], ANSWER_BLOCK),
    frameOf(Frame.DATA, [0, streamId], MESSAGE),
    frameOf(Frame.HEADERS, [END_HEADERS | END_STREAM, streamId], OK_BLOCK),
  ]);
}

/** A server that is written frame by frame, with a link to it. */
export class FrameServer {
  /** One for each connection. */
  readonly peers: RawPeer[] = [];
  /** All that came, on any connection. */
  received: ReceivedFrame[] = [];
  #server: net.Server | undefined;
  #client: LinkClient | undefined;
  #removeFolder: (() => Promise<void>) | undefined;

  /** Listens, and connects. @param settings - The first frame of each connection. */
  async connect(onFrame: OnFrame, settings: readonly Buffer[] = []): Promise<LinkClient> {
    const { socketPath, remove } = await socketFolder();
    this.#removeFolder = remove;
    this.#server = await plainServer(socketPath, (socket) => {
      const peer = new RawPeer(socket, (each) => {
        this.received.push(each);
        onFrame(each, peer);
      });
      this.peers.push(peer);
      peer.send(frameOf(Frame.SETTINGS, [0, 0], Buffer.concat(settings)));
    });
    this.#client = await LinkClient.connect({ socketPath });
    return this.#client;
  }

  async stop(): Promise<void> {
    await this.#client?.close();
    this.#server?.close();
    await this.#removeFolder?.();
  }
}

/** Calls with a text and answers with one. */
export async function call(link: LinkClient, message = 'x'): Promise<string> {
  return Buffer.from((await link.unary('/t.T/M', Buffer.from(message))).message).toString();
}
