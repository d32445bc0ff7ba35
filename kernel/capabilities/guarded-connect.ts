import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { DescService } from '@bufbuild/protobuf';
import type { Client, ServerConnection, ServerTarget } from '../../sdk/index.ts';
import { isLoopbackAddress } from '../access/loopback.ts';
import { createClient, EncodingTransport } from '../client.ts';
import { LinkTransport } from '../kernel-link.ts';
import { LinkClosed } from '../link/errors.ts';
import {
  type AnswerListener,
  type Link,
  LinkClient,
  type LinkCallOptions,
  type LinkTarget,
  type LinkUnaryResult,
} from '../link/link-client.ts';
import type { Propagation } from '../propagation.ts';
import { ServerTargetInvalid } from '../errors.ts';
import { type AddressRights, checkAddress } from './checked-address.ts';

/** Input of {@link connectServer}. */
export interface ConnectParts extends AddressRights {
  readonly propagation: Propagation;
}

/** Connections of one instance to gRPC servers that it was granted. */
export class ServerConnections {
  readonly #parts: ConnectParts;
  readonly #open: Set<OpenedLink> = new Set();

  constructor(parts: ConnectParts) {
    this.#parts = parts;
  }

  /** Makes a connection, which the first call opens. @throws CAPABILITY_DENIED, SERVER_TARGET_INVALID */
  connect(target: ServerTarget): ServerConnection {
    const { propagation } = this.#parts;
    const link = new OpenedLink(requireGranted(this.#parts, target));
    this.#open.add(link);
    const transport = new EncodingTransport(new LinkTransport(link));
    return {
      call: <Service extends DescService>(service: Service): Client<Service> =>
        createClient(service, transport, { headers: target.headers, propagation }),
      close: async () => {
        this.#open.delete(link);
        await link.close();
      },
    };
  }

  /** Ends all that are open. */
  async close(): Promise<void> {
    await Promise.all([...this.#open].map((link) => link.close()));
    this.#open.clear();
  }
}

/**
 * Returns what opens the connection.
 *
 * @throws CAPABILITY_DENIED, SERVER_TARGET_INVALID
 */
function requireGranted(parts: ConnectParts, target: ServerTarget): () => Promise<LinkClient> {
  const { host, port } = parsePlace(target.address);
  if (target.tls === undefined && target.plaintext !== true && !isLoopbackAddress(host)) {
    const problem = 'is not on this machine and has no TLS; set tls, or plaintext where a mesh encrypts';
    throw new ServerTargetInvalid({ address: target.address, problem });
  }
  parts.guard.require('network', placeOf(host, port));
  const { caFile, certificateFile, keyFile } = target.tls ?? {};
  for (const file of [caFile, certificateFile, keyFile])
    if (file !== undefined) parts.guard.require('files', `read ${file}`);
  return () => open(parts, target);
}

/** @throws SERVER_TARGET_INVALID */
function parsePlace(address: string): { readonly host: string; readonly port: number } {
  const [, inBrackets, plain, digits] =
    /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s/[\]]+)):(\d{1,5})$/.exec(address) ?? [];
  const host = inBrackets ?? plain;
  const port = Number(digits);
  if (host !== undefined && port >= 1 && port <= 65_535) return { host: host.toLowerCase(), port };
  throw new ServerTargetInvalid({ address: address.slice(0, 300), problem: 'is not host:port' });
}

function placeOf(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Looks the name up and connects to what was checked, so that a name cannot lead elsewhere between the two. */
async function open(parts: ConnectParts, { address, tls }: ServerTarget): Promise<LinkClient> {
  const { host, port } = parsePlace(address);
  const place = placeOf(host, port);
  const found = isIP(host) === 0 ? (await lookup(host)).address : host;
  checkAddress(parts, place, found);
  const target: LinkTarget = {
    host: found,
    port,
    authority: place,
    tls:
      tls === undefined
        ? undefined
        : { ...tls, serverName: tls.serverName ?? (isIP(host) === 0 ? host : undefined) },
  };
  return LinkClient.connect(target, { name: address });
}

/** A link that is opened by the call that needs it, and again after its server was gone. */
class OpenedLink implements Link {
  readonly #open: () => Promise<LinkClient>;
  #client: LinkClient | undefined;
  #opening: Promise<LinkClient> | undefined;
  #isClosed = false;

  constructor(open: () => Promise<LinkClient>) {
    this.#open = open;
  }

  async unary(path: string, request: Uint8Array, options?: LinkCallOptions): Promise<LinkUnaryResult> {
    return (this.#client ?? (await this.#opened())).unary(path, request, options);
  }

  async *stream(
    path: string,
    requests: AsyncIterable<Uint8Array>,
    options?: LinkCallOptions & AnswerListener,
  ): AsyncGenerator<Uint8Array> {
    yield* (this.#client ?? (await this.#opened())).stream(path, requests, options);
  }

  async #opened(): Promise<LinkClient> {
    this.#opening ??= this.#connect().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #connect(): Promise<LinkClient> {
    const client = await this.#open();
    if (this.#isClosed) {
      await client.close();
      throw new LinkClosed({ address: 'the server' });
    }
    this.#client = client;
    void client.closed.then(() => {
      if (this.#client === client) this.#client = undefined;
    });
    return client;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#opening?.catch(() => undefined);
    await this.#client?.close();
  }
}
