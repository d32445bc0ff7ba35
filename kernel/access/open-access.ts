import path from 'node:path';
import type { Clock, Logger, Storage } from '../../sdk/index.ts';
import { ConfigInvalid } from '../config.ts';
import type { KernelConfig } from '../config-schema.ts';
import type { EventBus } from '../events.ts';
import { Access } from './access.ts';
import { accessProblems } from './access-problems.ts';
import { Audit } from './audit.ts';
import { ListenerUnprotected } from './errors.ts';
import { isLoopbackAddress } from './loopback.ts';
import { KeyStore } from './key-store.ts';
import { OwnerToken } from './owner-token.ts';
import { Roles } from './roles.ts';

/** What access control is made from. */
export interface OpenAccessParts {
  readonly home: string;
  /** Address of the listeners. */
  readonly host: string;
  readonly config: KernelConfig;
  readonly storage: Storage;
  readonly events: EventBus;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Access control of one kernel with the parts that others change. */
export interface OpenedAccess {
  readonly access: Access;
  readonly roles: Roles;
  readonly keys: KeyStore;
  readonly owner: OwnerToken;
  readonly audit: Audit;
  /** Writes what waits to be written. */
  close(): Promise<void>;
}

/**
 * Reads keys and rules.
 *
 * @throws CONFIG_INVALID names every problem at once.
 */
export async function openAccess(parts: OpenAccessParts): Promise<OpenedAccess> {
  const { home, host, config, storage, events, clock, log } = parts;
  const roles = new Roles(config.access.roles);
  const problems = accessProblems(config.access, roles, config.tls);
  if (problems.length > 0) {
    throw new ConfigInvalid({
      file: path.join(home, 'config.json'),
      problem: `is not valid: ${problems.join('; ')}`,
    });
  }
  const keys = await KeyStore.open({ storage, clock, log });
  const owner = new OwnerToken(home);
  const audit = new Audit({ home, fileBytes: config.access.auditFileBytes, events, clock, log });
  const anonymous = config.access.anonymous ?? (isLoopbackAddress(host) ? 'local' : 'none');
  const access = new Access({ config: config.access, anonymous, roles, keys, owner, audit, clock, log });
  return { access, roles, keys, owner, audit, close: () => audit.close() };
}

/**
 * Refuses to listen where other machines could call and nobody could prove who he is.
 *
 * @throws LISTENER_UNPROTECTED
 */
export function checkProtected(
  { host, config }: Pick<OpenAccessParts, 'host' | 'config'>,
  keys: KeyStore,
): void {
  if (isLoopbackAddress(host)) return;
  const { jwt, peers } = config.access;
  if (keys.hasUsable || jwt.length > 0 || Object.keys(peers).length > 0) return;
  throw new ListenerUnprotected({ host });
}
