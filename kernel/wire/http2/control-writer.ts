import type { FrameWriter } from './frame-writer.ts';
import { HEADER_LIMIT_BYTES } from './header-decoder.ts';
import { encodeSettings, type Settings } from './peer-settings.ts';
import { DEFAULT_WINDOW_BYTES, ErrorCode, Flag, FrameType, Http2Fault, Setting } from './protocol.ts';

/** Receive window of a stream and of the connection, in bytes; the default of 64 KiB would stall large messages. */
export const WINDOW_BYTES: number = 4 * 1024 * 1024;

/** What both sides say of themselves. */
const SETTINGS: Settings = [
  [Setting.initialWindowSize, WINDOW_BYTES],
  [Setting.maxHeaderListSize, HEADER_LIMIT_BYTES],
];

/** Unsent bytes from which on somebody who only makes us answer is taken for an attacker. */
const ANSWER_LIMIT_BYTES = 8 * 1024 * 1024;

const NOTHING: Buffer = Buffer.alloc(0);

const PING: Buffer = Buffer.from('lamella.');

/** Writes the frames that carry no call: settings, windows, resets, answers to pings. */
export class ControlWriter {
  readonly #writer: FrameWriter;
  readonly #settings: Buffer;
  #uncreditedBytes = 0;

  /** @param settings - What only this side says of itself. */
  constructor(writer: FrameWriter, settings: Settings) {
    this.#writer = writer;
    this.#settings = encodeSettings([...settings, ...SETTINGS]);
  }

  /** Our settings and the window of the connection. */
  greet(): void {
    this.settings();
    this.credit(0, WINDOW_BYTES - DEFAULT_WINDOW_BYTES);
  }

  settings(): void {
    this.#writer.frame({ type: FrameType.settings, flags: 0, streamId: 0 }, this.#settings);
  }

  /** Counts data that has come, and opens the window of the connection again in time. */
  count(bytes: number): void {
    this.#uncreditedBytes += bytes;
    if (this.#uncreditedBytes < WINDOW_BYTES / 2) return;
    this.credit(0, this.#uncreditedBytes);
    this.#uncreditedBytes = 0;
  }

  /** Lets the other side send that much more. */
  credit(streamId: number, bytes: number): void {
    this.#word(FrameType.windowUpdate, streamId, bytes);
  }

  reset(streamId: number, code: number): void {
    this.#word(FrameType.reset, streamId, code);
  }

  /** @throws Http2Fault for somebody who asks and does not read the answers. */
  acknowledge(type: number, payload: Buffer = NOTHING): void {
    if (this.#writer.backlogBytes > ANSWER_LIMIT_BYTES) {
      throw new Http2Fault(ErrorCode.enhanceYourCalm, 'it asks and does not read the answers');
    }
    this.#writer.frame({ type, flags: Flag.acknowledgement, streamId: 0 }, payload);
  }

  /** Asks for a sign of life. */
  ping(): void {
    this.#writer.frame({ type: FrameType.ping, flags: 0, streamId: 0 }, PING);
  }

  /** Says goodbye, at once: streams above `lastId` were not looked at. */
  goAway(code: number, lastId = 0): void {
    const payload = Buffer.alloc(8);
    payload.writeUInt32BE(lastId);
    payload.writeUInt32BE(code, 4);
    this.#writer.frame({ type: FrameType.goAway, flags: 0, streamId: 0 }, payload);
    this.#writer.flush();
  }

  #word(type: number, streamId: number, word: number): void {
    const payload = Buffer.allocUnsafe(4);
    payload.writeUInt32BE(word);
    this.#writer.frame({ type, flags: 0, streamId }, payload);
  }
}
