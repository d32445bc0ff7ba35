import { readFile } from 'node:fs/promises';
import net from 'node:net';
import tls from 'node:tls';
import { LinkUnreachable } from './errors.ts';
import { ClientSession } from '../wire/http2/client-session.ts';
import type { Http2Stream, StreamListener } from '../wire/http2/stream.ts';

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
  | {
      readonly host: string;
      readonly port: number;
      readonly tls?: LinkTls | undefined;
      /** Name under which calls ask for the server, `host:port`; the address by default. */
      readonly authority?: string | undefined;
    };

/** Times of a connection, in milliseconds. */
export interface ConnectionTimes {
  /** Longest wait for the connection. */
  readonly connectTimeoutMs: number;
  /** Pause between two signs of life; without one for that long the connection counts as lost. */
  readonly probeIntervalMs: number;
}

/** A target as people write it. */
export function addressOf(target: LinkTarget): string {
  if ('socketPath' in target) return `unix:${target.socketPath}`;
  const { host, port } = target;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** One HTTP/2 session with a gRPC server. */
export class Connection {
  readonly #session: ClientSession;
  /** Resolves when the session has ended and no call runs on it any more. */
  readonly closed: Promise<void>;
  #resolveClosed: () => void = () => undefined;
  /** Called once when the other side ends the session or announces that it will: new calls need another one. */
  onRetired: (() => void) | undefined;
  #isUsable = true;
  #probe: NodeJS.Timeout | undefined;
  /** When the sign of life that is not acknowledged yet was asked for, on the clock of `performance`. */
  #probedMs: number | undefined;
  #resolveReady: () => void = () => undefined;
  #rejectReady: (error: Error) => void = () => undefined;

  private constructor(socket: net.Socket) {
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.#session = new ClientSession(socket, {
      onSettings: () => this.#resolveReady(),
      onAcknowledged: () => {
        this.#probedMs = undefined;
      },
      onRetired: () => {
        this.#isUsable = false;
        this.onRetired?.();
      },
      onGone: (error) => {
        clearInterval(this.#probe);
        this.#rejectReady(error ?? new Error('the connection was closed at once'));
        this.#resolveClosed();
      },
    });
  }

  /**
   * Connects and waits for the other side's HTTP/2 settings, which tell that it speaks the protocol.
   *
   * @throws LINK_UNREACHABLE
   */
  static async open(target: LinkTarget, times: ConnectionTimes): Promise<Connection> {
    const connection = new Connection(await connect(target));
    try {
      await connection.#ready(times.connectTimeoutMs);
    } catch (cause) {
      connection.destroy();
      const phrase = (cause as Error).message;
      throw new LinkUnreachable({ address: addressOf(target), cause: phrase }, { cause });
    }
    const { probeIntervalMs } = times;
    connection.#probe = setInterval(() => connection.#sendProbe(probeIntervalMs), probeIntervalMs).unref();
    return connection;
  }

  async #ready(timeoutMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        this.#resolveReady = resolve;
        this.#rejectReady = reject;
        const late = new Error(`no HTTP/2 settings came within ${timeoutMs} ms`);
        timer = setTimeout(() => reject(late), timeoutMs);
      });
    } finally {
      clearTimeout(timer);
    }
  }

  /** False from the moment new calls cannot start here. */
  get isUsable(): boolean {
    return this.#isUsable;
  }

  request(block: Buffer, listener: StreamListener): Http2Stream {
    return this.#session.request(block, listener);
  }

  /** Takes no new calls, lets those that run end, then ends the session. */
  finish(): void {
    this.#session.finish();
  }

  /** Ends the session and all calls on it. */
  destroy(): void {
    this.#session.destroy();
  }

  /**
   * A machine that is gone says nothing, and calls would wait for ever. Settings are sent rather than pings, because
   * gRPC servers punish pings on a connection that is quiet.
   */
  #sendProbe(intervalMs: number): void {
    if (this.#probedMs === undefined) {
      this.#probedMs = performance.now();
      this.#session.sendSettings();
      return;
    }
    // Timers may be a little early.
    if (performance.now() - this.#probedMs > intervalMs * 0.9) this.destroy();
  }
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
