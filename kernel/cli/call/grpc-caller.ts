import { once } from 'node:events';
import * as grpc from '@grpc/grpc-js';
import type { CallHeaders, Code } from '../../../sdk/index.ts';
import type { BytesTransport, OutgoingCall } from '../../client.ts';
import { LinkUnreachable } from '../../link/errors.ts';
import { StatusError } from '../../status-error.ts';
import { only, streamOf } from '../../target.ts';

/** Longest wait for a connection, in milliseconds: a server that is there answers within a round trip. */
const CONNECT_TIMEOUT_MS = 5_000;

/** Certificates of a TLS connection; the system's roots are trusted when `ca` is left out. */
export interface TlsFiles {
  readonly ca?: Buffer | undefined;
  readonly certificate?: Buffer | undefined;
  readonly key?: Buffer | undefined;
  /** Name the server's certificate is checked against, where it differs from the address. */
  readonly serverName?: string | undefined;
}

/** Where and how to connect. */
export interface CallTarget {
  /** `host:port`, or `unix:PATH`. */
  readonly address: string;
  /** Without it the connection is not encrypted. */
  readonly tls?: TlsFiles | undefined;
}

/** What surrounds the messages of an answer. */
export interface AnswerWatcher {
  readonly onHeaders?: (headers: CallHeaders) => void;
  readonly onTrailers?: (trailers: CallHeaders) => void;
}

type Duplex = grpc.ClientDuplexStream<Buffer, Buffer>;

const identity = (bytes: Buffer): Buffer => bytes;

/**
 * A gRPC client for any server, by bytes.
 *
 * @remarks grpc-js and not the kernel's own link: it speaks TLS, resolves names and takes every server there is.
 */
export class GrpcCaller implements BytesTransport {
  readonly #client: grpc.Client;
  readonly #watcher: AnswerWatcher;

  private constructor(client: grpc.Client, watcher: AnswerWatcher) {
    this.#client = client;
    this.#watcher = watcher;
  }

  /** @throws LINK_UNREACHABLE when nothing that speaks gRPC answers in time. */
  static async connect({ address, tls }: CallTarget): Promise<GrpcCaller> {
    const client = new grpc.Client(address, credentialsOf(tls), {
      'grpc.enable_channelz': 0,
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      ...(tls?.serverName === undefined ? {} : { 'grpc.ssl_target_name_override': tls.serverName }),
    });
    try {
      await connected(client);
    } catch (cause) {
      client.close();
      throw new LinkUnreachable({ address, cause: (cause as Error).message }, { cause });
    }
    return new GrpcCaller(client, {});
  }

  /** The same connection, whose next calls tell about their headers and trailers. */
  watched(watcher: AnswerWatcher): GrpcCaller {
    return new GrpcCaller(this.#client, watcher);
  }

  async unary(path: string, request: Uint8Array, call: OutgoingCall): Promise<Uint8Array> {
    return only(this.stream(path, streamOf(request), call));
  }

  /** All kinds of methods are the same on the wire. @throws StatusError as the server answered it. */
  async *stream(
    path: string,
    requests: AsyncIterable<Uint8Array>,
    { headers, deadlineMs, signal }: OutgoingCall,
  ): AsyncGenerator<Uint8Array> {
    const options = deadlineMs === undefined ? {} : { deadline: deadlineMs };
    const duplex = this.#client.makeBidiStreamRequest(path, identity, identity, toMetadata(headers), options);
    const cancel = (): void => duplex.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    duplex.on('metadata', (metadata: grpc.Metadata) => this.#watcher.onHeaders?.(toHeaders(metadata)));
    duplex.on('status', ({ metadata }) => this.#watcher.onTrailers?.(toHeaders(metadata)));
    const sending = send(duplex, requests);
    try {
      for await (const message of duplex) yield message as Buffer;
    } catch (error) {
      throw sending.failure ?? toStatusError(error as grpc.ServiceError);
    } finally {
      signal?.removeEventListener('abort', cancel);
      duplex.cancel();
    }
  }

  close(): void {
    this.#client.close();
  }
}

/** Waits for a connection; the first attempt that fails is the answer, since nobody waits for a server to come. */
async function connected(client: grpc.Client): Promise<void> {
  const channel = client.getChannel();
  const deadlineMs = Date.now() + CONNECT_TIMEOUT_MS;
  for (;;) {
    const state = channel.getConnectivityState(true);
    if (state === grpc.connectivityState.READY) return;
    if (state === grpc.connectivityState.TRANSIENT_FAILURE) throw await connectionError(client);
    await new Promise<void>((resolve, reject) => {
      channel.watchConnectivityState(state, deadlineMs, (error) => {
        if (error === undefined) resolve();
        else reject(new Error(`no connection within ${CONNECT_TIMEOUT_MS / 1_000} s`));
      });
    });
  }
}

/** Only a call is told why there is no connection. */
async function connectionError(client: grpc.Client): Promise<Error> {
  return new Promise((resolve) => {
    client.makeUnaryRequest('/', identity, identity, Buffer.alloc(0), (error) =>
      resolve(
        new Error(
          error?.details.replace(/^.*Last error: (Error: )?|\. Resolution note:.*$/g, '') ??
            'the connection was lost',
        ),
      ),
    );
  });
}

interface Sending {
  /** What kept a request from being made; `undefined` when the server was the one to fail. */
  failure: Error | undefined;
}

/** Sends as fast as the server reads. */
function send(duplex: Duplex, requests: AsyncIterable<Uint8Array>): Sending {
  const sending: Sending = { failure: undefined };
  const work = async (): Promise<void> => {
    try {
      for await (const request of requests) {
        if (duplex.destroyed) return;
        const isTaken = duplex.write(Buffer.from(request.buffer, request.byteOffset, request.byteLength));
        if (!isTaken) await Promise.race([once(duplex, 'drain'), once(duplex, 'close')]);
      }
      duplex.end();
    } catch (error) {
      sending.failure = error as Error;
      duplex.cancel();
    }
  };
  void work();
  return sending;
}

function credentialsOf(tls: TlsFiles | undefined): grpc.ChannelCredentials {
  if (tls === undefined) return grpc.credentials.createInsecure();
  return grpc.credentials.createSsl(tls.ca, tls.key, tls.certificate);
}

function toMetadata(headers: CallHeaders): grpc.Metadata {
  const metadata = new grpc.Metadata();
  for (const [name, value] of headers) {
    metadata.set(name, typeof value === 'string' ? value : Buffer.from(value));
  }
  return metadata;
}

function toHeaders(metadata: grpc.Metadata): CallHeaders {
  return new Map(Object.entries(metadata.getMap()));
}

function toStatusError({ code, details, metadata }: grpc.ServiceError): StatusError {
  const [detailsBin] = metadata.get('grpc-status-details-bin');
  return new StatusError({
    code: code as Code,
    message: details,
    detailsBin: typeof detailsBin === 'string' ? undefined : detailsBin,
  });
}
