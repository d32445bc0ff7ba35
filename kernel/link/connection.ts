import { readFile } from 'node:fs/promises';
import http2 from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders, Settings } from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';
import { LinkUnreachable } from './errors.ts';

/** Files for a connection under TLS, read anew for every connection, so that replaced certificates are taken up. */
export interface LinkTls {
  /** Certificates of those who may sign the server's, in PEM; the system's by default. */
  readonly caFile?: string | undefined;
  /** Our own certificate and its key in PEM, for servers that ask who calls. */
  readonly certificateFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** Name that the server's certificate must carry; the host by default. */
  readonly serverName?: string | undefined;
}

/** Where a gRPC server listens; without `tls` the bytes travel as they are. */
export type LinkTarget =
  | { readonly socketPath: string }
  | { readonly host: string; readonly port: number; readonly tls?: LinkTls | undefined };

/** Receive window of a stream and of the connection, in bytes; the default of 64 KiB would stall large messages. */
const WINDOW_BYTES = 4 * 1024 * 1024;

/** Longest header block taken, in bytes; the metadata of an answer is a few lines. */
const HEADER_LIMIT_BYTES = 64 * 1024;

/** Our settings, also sent again as a sign of life that every HTTP/2 peer must acknowledge. */
const SETTINGS: Settings = {
  initialWindowSize: WINDOW_BYTES,
  enablePush: false,
  maxHeaderListSize: HEADER_LIMIT_BYTES,
};

/** Pause between two looks for a session that has silently given up, in milliseconds; they happen while calls wait. */
const WATCH_INTERVAL_MS = 1_500;

/** Times of a connection, in milliseconds. */
export interface ConnectionTimes {
  /** Longest wait for the connection. */
  readonly connectTimeoutMs: number;
  /** Pause between two signs of life; without one for that long the connection counts as lost. */
  readonly probeIntervalMs: number;
}

/** A target as people write it. */
export function addressOf(target: LinkTarget): string {
  return 'socketPath' in target ? `unix:${target.socketPath}` : `${target.host}:${target.port}`;
}

/** One HTTP/2 session with a gRPC server. */
export class Connection {
  readonly #session: ClientHttp2Session;
  /** Resolves when the session has ended and no call runs on it any more. */
  readonly closed: Promise<void>;
  /** Called once when the other side ends the session or announces that it will: new calls need another one. */
  onRetired: (() => void) | undefined;
  readonly #socket: net.Socket;
  #isUsable = true;
  /** When the sign of life that is not acknowledged yet was asked for, on the clock of `performance`. */
  #probedMs: number | undefined;
  /** Calls whose streams are open. */
  #running = 0;
  #readBytes = 0;
  #wasStuck = false;

  private constructor(session: ClientHttp2Session, socket: net.Socket, probeIntervalMs: number) {
    this.#session = session;
    this.#socket = socket;
    const probe = setInterval(() => this.#probe(probeIntervalMs), probeIntervalMs).unref();
    const watch = setInterval(() => this.#watch(), WATCH_INTERVAL_MS).unref();
    // Calls learn of it through their own streams.
    session.on('error', () => this.#retire());
    session.on('goaway', () => this.#retire());
    this.closed = new Promise((resolve) => {
      session.once('close', () => {
        clearInterval(probe);
        clearInterval(watch);
        this.#retire();
        resolve();
      });
    });
  }

  /**
   * Connects and waits for the other side's HTTP/2 settings, which tell that it speaks the protocol.
   *
   * @throws LINK_UNREACHABLE
   */
  static async open(target: LinkTarget, times: ConnectionTimes): Promise<Connection> {
    const socket = await connect(target);
    const session = http2.connect('http://localhost', {
      createConnection: () => socket,
      // Node would refuse streams when their queued bytes pass 10 MB; flow control bounds them already.
      maxSessionMemory: Number.MAX_SAFE_INTEGER,
      settings: SETTINGS,
    });
    try {
      await established(session, times.connectTimeoutMs);
    } catch (cause) {
      session.destroy();
      const phrase = (cause as Error).message;
      throw new LinkUnreachable({ address: addressOf(target), cause: phrase }, { cause });
    }
    session.setLocalWindowSize(WINDOW_BYTES);
    return new Connection(session, socket, times.probeIntervalMs);
  }

  /** False from the moment new calls cannot start here. */
  get isUsable(): boolean {
    return this.#isUsable && !this.#session.closed && !this.#session.destroyed;
  }

  /** True when the transport itself is gone, so that running calls cannot end well. */
  get isGone(): boolean {
    return this.#session.destroyed || this.#session.socket?.destroyed !== false;
  }

  request(block: OutgoingHttpHeaders): ClientHttp2Stream {
    const stream = this.#session.request(block);
    this.#running += 1;
    stream.once('close', () => {
      this.#running -= 1;
    });
    return stream;
  }

  /** Takes no new calls, lets those that run end, then ends the session. */
  finish(): void {
    this.#retire();
    if (!this.#session.closed) this.#session.close();
  }

  /** Ends the session and all calls on it. */
  destroy(): void {
    this.#retire();
    this.#session.destroy();
  }

  /**
   * Node stops reading and stays silent when what comes in is not HTTP/2, so calls would wait for ever. Settings are
   * sent rather than pings, because gRPC servers punish pings on a connection that is quiet.
   */
  #probe(intervalMs: number): void {
    // Timers may be a little early.
    const isLate = this.#probedMs !== undefined && performance.now() - this.#probedMs > intervalMs * 0.9;
    if (isLate) this.destroy();
    else this.#sendProbe();
  }

  #sendProbe(): void {
    // A session that is closed may still have calls, and may be dead like any other.
    if (this.#probedMs !== undefined || this.#session.destroyed) return;
    this.#probedMs = performance.now();
    this.#session.settings(SETTINGS, () => {
      this.#probedMs = undefined;
    });
  }

  /**
   * After an answer that breaks HTTP/2 itself, a header block that is too long for example, Node's session neither reads
   * nor writes nor tells. What is given to it then stays in its queue although the socket takes bytes, which a peer that
   * is only slow does not cause.
   */
  #watch(): void {
    const { bytesRead } = this.#socket;
    const isQuiet = bytesRead === this.#readBytes;
    this.#readBytes = bytesRead;
    if (!isQuiet || this.#running === 0 || this.#session.destroyed) {
      this.#wasStuck = false;
      return;
    }
    const isStuck = (this.#session.state.outboundQueueSize ?? 0) > 0 && waitingBytes(this.#socket) === 0;
    if (isStuck && this.#wasStuck) this.destroy();
    else this.#sendProbe();
    this.#wasStuck = isStuck;
  }

  #retire(): void {
    if (!this.#isUsable) return;
    this.#isUsable = false;
    this.onRetired?.();
  }
}

/** Bytes that the system has not taken yet; `undefined` where Node does not tell. */
function waitingBytes(socket: net.Socket): number | undefined {
  const handle: unknown = Reflect.get(socket, '_handle');
  const size: unknown =
    typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'writeQueueSize') : 0;
  return typeof size === 'number' ? size : undefined;
}

async function connect(target: LinkTarget): Promise<net.Socket> {
  if ('socketPath' in target) return net.connect({ path: target.socketPath });
  const { host, port, tls: files } = target;
  if (files === undefined) return net.connect({ host, port, noDelay: true });
  try {
    const [ca, cert, key] = await Promise.all(
      [files.caFile, files.certificateFile, files.keyFile].map(async (file) =>
        file === undefined ? undefined : readFile(file),
      ),
    );
    const servername = files.serverName ?? (net.isIP(host) === 0 ? host : '');
    return tls.connect({ host, port, ca, cert, key, servername, ALPNProtocols: ['h2'] }).setNoDelay();
  } catch (cause) {
    throw new LinkUnreachable({ address: addressOf(target), cause: (cause as Error).message }, { cause });
  }
}

async function established(session: ClientHttp2Session, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = new Error(`no HTTP/2 settings came within ${timeoutMs} ms`);
    timer = setTimeout(() => reject(error), timeoutMs);
  });
  const ready = new Promise<void>((resolve, reject) => {
    session.once('remoteSettings', () => resolve());
    session.once('error', reject);
    session.once('close', () => reject(new Error('the connection was closed at once')));
  });
  try {
    await Promise.race([ready, late]);
  } finally {
    clearTimeout(timer);
  }
}
