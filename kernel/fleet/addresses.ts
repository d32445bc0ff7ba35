import dns from 'node:dns';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { RemoteSettings } from './remote-settings.ts';
import { RemoteMisconfigured } from '../errors.ts';
import type { LinkTarget } from '../link/link-client.ts';

/** One address as the operator wrote it, which may stand for many machines. */
export interface AddressSource {
  readonly text: string;
  /** Whether the targets never change, so that asking once is enough. */
  readonly isFixed: boolean;
  /** @throws why the name cannot be resolved now. */
  targets(): Promise<readonly LinkTarget[]>;
}

/** `dns:///name:port`, or `dns://server/name:port` with a name server of its own (gRPC name syntax). */
const DNS_FORM = /^dns:(?:\/\/(?<server>[^/]*)\/)?(?<place>.+)$/;

/** Time for one question to a name server, in milliseconds, and questions before it counts as silent. */
const DNS_TIMES = { timeout: 2_000, tries: 2 };

/** @throws REMOTE_MISCONFIGURED */
export function addressSources(manifest: Manifest, settings: RemoteSettings = {}): AddressSource[] {
  const addresses = settings.addresses ?? manifest.entry?.addresses ?? [];
  const refuse = (problem: string): never => {
    throw new RemoteMisconfigured({ plugin: manifest.id, problem });
  };
  if (addresses.length === 0) refuse('neither its manifest nor the configuration names addresses');
  return addresses.map((text) => {
    const { server, place = text } = DNS_FORM.exec(text)?.groups ?? {};
    const { host, port } = parsePlace(place) ?? refuse(`'${text}' is not host:port or dns:///name:port`);
    if (!mayTravel(host, settings)) {
      refuse(`${text} is not on this machine and has no TLS; set tls, or plaintext where a mesh encrypts`);
    }
    if (place === text) return fixed(text, { host, port, tls: settings.tls });
    const names = nameServer(server);
    if (names instanceof Error) return refuse(`'${text}' names no usable DNS server: ${names.message}`);
    return resolved(text, { host, port, tls: settings.tls, names });
  });
}

function mayTravel(host: string, { tls, plaintext }: RemoteSettings): boolean {
  return tls !== undefined || plaintext === true || isLoopback(host);
}

function parsePlace(place: string): { host: string; port: number } | undefined {
  const end = place.lastIndexOf(':');
  const host = place.slice(0, end).replace(/^\[(.*)\]$/, '$1');
  const port = Number(place.slice(end + 1));
  const isValid = end > 0 && Number.isInteger(port) && port >= 1 && port <= 65_535;
  return isValid ? { host, port } : undefined;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

function fixed(text: string, target: LinkTarget): AddressSource {
  return { text, isFixed: true, targets: () => Promise.resolve([target]) };
}

interface NamedPlace {
  readonly host: string;
  readonly port: number;
  readonly tls: RemoteSettings['tls'];
  readonly names: dns.promises.Resolver | undefined;
}

function resolved(text: string, { host, port, tls, names }: NamedPlace): AddressSource {
  return {
    text,
    isFixed: false,
    targets: async () => {
      const found = names === undefined ? await lookUp(host) : await ask(names, host);
      return found.map((address) => ({
        host: address,
        port,
        // The certificate carries the name that was asked for, and so does the authority.
        tls: tls === undefined ? undefined : { serverName: host, ...tls },
        authority: `${host}:${port}`,
      }));
    },
  };
}

/** By the rules of this machine: hosts file, search domains. One family, so that no machine counts twice. */
async function lookUp(host: string): Promise<string[]> {
  const found = await dns.promises.lookup(host, { all: true });
  const family = found.some((each) => each.family === 4) ? 4 : 6;
  return found.filter((each) => each.family === family).map(({ address }) => address);
}

async function ask(names: dns.promises.Resolver, host: string): Promise<string[]> {
  try {
    return await names.resolve4(host);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== dns.NODATA) throw error;
    return names.resolve6(host);
  }
}

function nameServer(address = ''): dns.promises.Resolver | Error | undefined {
  if (address === '') return undefined;
  const names = new dns.promises.Resolver(DNS_TIMES);
  try {
    names.setServers([address]);
    return names;
  } catch (error) {
    return error as Error;
  }
}
