import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import type { AccessService, ApiKeySchema } from '../../proto/gen/lamella/kernel/v1/access_service_pb.ts';
import { type CallContext, pageOf, type ServiceImplementation } from '../../sdk/index.ts';
import { ApiKeyInvalid } from '../access/errors.ts';
import type { ApiKey } from '../access/key-store.ts';
import type { OpenedAccess } from '../access/open-access.ts';
import { Call } from '../call.ts';

/** AccessService: keys and explanations. Who may call it is decided before it is called. */
export function createAccessService(access: () => OpenedAccess): ServiceImplementation<typeof AccessService> {
  return {
    createKey: async ({ name, scopes, expireTime }, context) => {
      const { keys, roles } = access();
      const unknown = scopes.find((scope) => !roles.isGrant(scope));
      if (unknown !== undefined) {
        const known = roles.names.join(', ');
        throw new ApiKeyInvalid({
          problem: `'${unknown.slice(0, 100)}' is neither a role (${known}) nor a rule`,
        });
      }
      const expiresMs = expireTime === undefined ? undefined : timestampMs(expireTime);
      const { key, text } = await keys.create({ name, scopes, expiresMs });
      record(access(), 'key-created', { name, scopes, context });
      return { key: keyToProto(key), text };
    },
    listKeys: (request) => {
      const { items, nextPageToken } = pageOf(access().keys.list(), ({ name }) => name, request);
      return { keys: items.map(keyToProto), nextPageToken };
    },
    revokeKey: async ({ name }, context) => {
      await access().keys.revoke(name);
      record(access(), 'key-revoked', { name, scopes: [], context });
      return {};
    },
    explainAccess: ({ principal, operation }) => {
      const { decision, principal: found, sentence } = access().access.explain(principal, operation);
      const { isAllowed: allowed, rule, role, origin } = decision;
      return { allowed, rule, role, origin, grants: [...found.grants], sentence };
    },
  };
}

interface Change {
  readonly name: string;
  readonly scopes: readonly string[];
  readonly context: CallContext;
}

function record(
  { audit }: OpenedAccess,
  action: 'key-created' | 'key-revoked',
  { name, scopes, context }: Change,
): void {
  const principal = context instanceof Call ? (context.principal?.name ?? context.caller) : undefined;
  audit.record({
    action,
    principal: principal ?? 'unknown',
    operation: `key:${name}`,
    rule: scopes.join(', '),
    reason: '',
    peer: context.peer,
  });
}

function keyToProto(key: ApiKey): MessageInitShape<typeof ApiKeySchema> {
  return {
    id: key.id,
    name: key.name,
    scopes: [...key.scopes],
    createTime: timestampFromMs(key.createMs),
    ...(key.expiresMs === undefined ? {} : { expireTime: timestampFromMs(key.expiresMs) }),
    ...(key.lastUsedMs === undefined ? {} : { lastUseTime: timestampFromMs(key.lastUsedMs) }),
  };
}
