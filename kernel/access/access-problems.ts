import { BlockList, isIP } from 'node:net';
import type { AccessConfig, TlsConfig } from './access-config.ts';
import type { Roles } from './roles.ts';
import { isRule } from './rule.ts';

/** What a schema cannot say: names that must exist, forms that must hold together. Each is a phrase. */
export function accessProblems(access: AccessConfig, roles: Roles, tls: TlsConfig | undefined): string[] {
  return [...roleProblems(access), ...grantProblems(access, roles), ...placeProblems(access, tls)];
}

function roleProblems({ roles }: AccessConfig): string[] {
  const fixed = roles['admin'] === undefined ? [] : ["access.roles: 'admin' is fixed; choose another name"];
  const wrong = Object.entries(roles).flatMap(([role, rules]) =>
    rules
      .filter((rule) => !isRule(rule))
      .map((rule) => `access.roles.${role}: '${rule}' is no rule like service/Method or http:GET /path`),
  );
  return [...fixed, ...wrong];
}

function grantProblems(access: AccessConfig, roles: Roles): string[] {
  const known = roles.names.join(', ');
  return grantsOf(access).flatMap(([where, grants]) =>
    grants
      .filter((grant) => !roles.isGrant(grant))
      .map((grant) => `${where}: '${grant}' is neither a role (${known}) nor a rule`),
  );
}

function placeProblems({ jwt, sidecars, peers }: AccessConfig, tls: TlsConfig | undefined): string[] {
  const problems = [
    ...jwt
      .filter(({ jwks }) => !isJwksPlace(jwks))
      .map(({ jwks }) => `access.jwt: '${jwks}' is neither a file nor an https URL`),
    ...sidecars
      .filter((sidecar) => subnet(sidecar) === undefined)
      .map((sidecar) => `access.sidecars: '${sidecar}' is no address or subnet`),
  ];
  if (Object.keys(peers).length > 0 && tls?.clientCa === undefined && sidecars.length === 0) {
    problems.push('access.peers: needs tls.clientCa or access.sidecars, or nobody can prove to be a peer');
  }
  return problems;
}

function grantsOf({ anonymous, jwt, peers }: AccessConfig): [string, readonly string[]][] {
  return [
    ...(anonymous === undefined ? [] : [['access.anonymous', [anonymous]] as [string, string[]]]),
    ...jwt.flatMap(({ roles }) =>
      Object.values(roles).map((grants): [string, readonly string[]] => ['access.jwt', grants]),
    ),
    ...Object.entries(peers).map(([id, grants]): [string, readonly string[]] => [
      `access.peers.${id}`,
      grants,
    ]),
  ];
}

const LOOPBACK_NAMES: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);

function isJwksPlace(place: string): boolean {
  if (!/^[a-z][a-z0-9+.-]+:\/\//i.test(place)) return true;
  if (!URL.canParse(place)) return false;
  const { protocol, hostname } = new URL(place);
  return protocol === 'https:' || (protocol === 'http:' && LOOPBACK_NAMES.has(hostname));
}

interface Subnet {
  readonly address: string;
  readonly prefix: number;
  readonly family: 'ipv4' | 'ipv6';
}

function subnet(text: string): Subnet | undefined {
  const [address = '', bits, ...more] = text.split('/');
  const version = isIP(address);
  if (version === 0 || more.length > 0) return undefined;
  const most = version === 4 ? 32 : 128;
  const prefix = Number(bits ?? most);
  if (!/^\d{1,3}$/.test(bits ?? '0') || prefix > most) return undefined;
  return { address, prefix, family: version === 4 ? 'ipv4' : 'ipv6' };
}

/** The addresses of trusted proxies. */
export function sidecarList(sidecars: readonly string[]): BlockList {
  const list = new BlockList();
  for (const text of sidecars) {
    const found = subnet(text);
    if (found !== undefined) list.addSubnet(found.address, found.prefix, found.family);
  }
  return list;
}
