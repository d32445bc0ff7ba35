import type { DescService } from '@bufbuild/protobuf';
import { InvalidArgumentError } from 'commander';
import type { Client } from '../../sdk/index.ts';
import { createClient, EncodingTransport } from '../client.ts';
import { LinkTransport } from '../kernel-link.ts';
import { LinkClient } from '../link/link-client.ts';

/** Where a kernel is looked for when neither `--address` nor LAMELLA_ADDRESS says. */
export const DEFAULT_ADDRESS = '127.0.0.1:8001';

/** A gRPC listener. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Reads `host:port`; the host of an IPv6 address stands in brackets. @throws InvalidArgumentError */
export function parseAddress(text: string): Address {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s/]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port < 1 || port > 65_535) {
    throw new InvalidArgumentError(`'${text}' is not host:port, for example ${DEFAULT_ADDRESS}.`);
  }
  return { host, port };
}

/** Connects, lets a function call a service and closes the connection. @throws LINK_UNREACHABLE */
export async function withService<Service extends DescService, Result>(
  address: Address,
  service: Service,
  use: (client: Client<Service>) => Promise<Result>,
): Promise<Result> {
  const link = await LinkClient.connect(address);
  try {
    return await use(createClient(service, new EncodingTransport(new LinkTransport(link))));
  } finally {
    await link.close();
  }
}
