import {
  DEFAULT_WINDOW_BYTES,
  ErrorCode,
  FRAME_LIMIT_BYTES,
  Http2Fault,
  LIMIT_31_BITS,
  Setting,
} from './protocol.ts';

/** Bytes of one setting in a SETTINGS frame. */
const SETTING_BYTES = 6;

/** What the other side has told of itself; these values hold until it does. */
export class PeerSettings {
  windowBytes: number = DEFAULT_WINDOW_BYTES;
  frameBytes: number = FRAME_LIMIT_BYTES;
  streams: number = LIMIT_31_BITS;

  /** Takes a SETTINGS frame; what is unknown or concerns others is passed over. @throws Http2Fault */
  update(payload: Buffer): void {
    if (payload.length % SETTING_BYTES !== 0) {
      throw new Http2Fault(ErrorCode.frameSizeError, 'its settings are cut off');
    }
    for (let at = 0; at < payload.length; at += SETTING_BYTES) {
      this.#set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
    }
  }

  #set(setting: number, value: number): void {
    if (setting === Setting.enablePush && value > 1) {
      throw new Http2Fault(ErrorCode.protocolError, `its setting for pushes is ${value}`);
    }
    if (setting === Setting.maxConcurrentStreams) this.streams = value;
    if (setting === Setting.initialWindowSize) {
      if (value > LIMIT_31_BITS) throw new Http2Fault(ErrorCode.flowControlError, 'its window is too large');
      this.windowBytes = value;
    }
    if (setting === Setting.maxFrameSize) {
      if (value < FRAME_LIMIT_BYTES || value >= 2 ** 24) {
        throw new Http2Fault(ErrorCode.protocolError, `its frames may have ${value} bytes`);
      }
      this.frameBytes = value;
    }
  }
}

/** Settings and their values. */
export type Settings = readonly (readonly [setting: number, value: number])[];

/** Payload of a SETTINGS frame. */
export function encodeSettings(settings: Settings): Buffer {
  const payload = Buffer.alloc(settings.length * SETTING_BYTES);
  for (const [index, [setting, value]] of settings.entries()) {
    payload.writeUInt16BE(setting, index * SETTING_BYTES);
    payload.writeUInt32BE(value, index * SETTING_BYTES + 2);
  }
  return payload;
}
