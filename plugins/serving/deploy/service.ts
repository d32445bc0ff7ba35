import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  type CallContext,
  type Client,
  type Clock,
  isDeclaredError,
  type ServiceImplementation,
  pageOf,
} from 'lamella/sdk';
import type { RegistryService } from 'lamella/proto/lamella/model/v1/registry_service';
import {
  type DeployRequest,
  type DeployResponseSchema,
  type DeployService,
  DeploymentState,
} from 'lamella/proto/lamella/serving/v1/deploy_service';
import { deploymentMessage, deploymentName, type DeploymentRecord, type Deployments } from './deployments.ts';
import {
  DeploymentNotFound,
  OptionsInvalid,
  TargetUnavailable,
  TargetUnknown,
  VersionNameInvalid,
} from './errors.ts';
import type { Target, TargetVersion } from './target.ts';

/** What the service works with. */
export interface DeployParts {
  /** The model registry. */
  readonly registry: Client<typeof RegistryService>;
  /** Where deployments are kept. */
  readonly deployments: Deployments;
  /** Places to deploy to. */
  readonly targets: readonly Target[];
  /** Current time. */
  readonly clock: Clock;
}

type DeployResponse = MessageInitShape<typeof DeployResponseSchema>;

const VERSION_NAME = /^models\/[a-z0-9][a-z0-9._-]{0,62}\/(?:versions|aliases)\/[a-z0-9_-]{1,63}$/;

/** The service over its parts. */
export function deployService(parts: DeployParts): ServiceImplementation<typeof DeployService> {
  const { deployments, targets } = parts;
  const existing = async (name: string): Promise<DeploymentRecord> => {
    const record = await deployments.get(name);
    if (record === undefined) throw new DeploymentNotFound({ name: name.slice(0, 200) });
    return record;
  };
  return {
    deploy: (request, context) => deploy(parts, request, context),
    getDeployment: async ({ name }) => ({ deployment: deploymentMessage(await existing(name)) }),
    listDeployments: async (request) => {
      const { items, nextPageToken } = pageOf(
        await deployments.list(),
        ({ target, model }) => deploymentName(target, model),
        request,
      );
      return { deployments: items.map(deploymentMessage), nextPageToken };
    },
    undeploy: async ({ name }, context) => {
      const record = await existing(name);
      const target = findTarget(targets, record.target);
      await deployments.put(changed(parts, record, { state: DeploymentState.REMOVING, reason: '' }));
      await target.undeploy(record.model, context);
      await deployments.delete(name);
      const removed = changed(parts, record, { state: DeploymentState.REMOVED, reason: '' });
      return { deployment: deploymentMessage(removed) };
    },
    listTargets: (request) => {
      const { items, nextPageToken } = pageOf(targets, ({ name }) => name, request);
      return {
        targets: items.map(({ name, description, unavailable }) => ({
          name,
          description,
          available: unavailable === undefined,
          reason: unavailable ?? '',
          optionsSchema: { type: 'object', properties: {}, additionalProperties: false },
        })),
        nextPageToken,
      };
    },
  };
}

async function* deploy(
  parts: DeployParts,
  request: DeployRequest,
  context: CallContext,
): AsyncGenerator<DeployResponse> {
  const target = findTarget(parts.targets, request.target === '' ? 'local' : request.target);
  if (target.unavailable !== undefined) {
    throw new TargetUnavailable({ target: target.name, why: target.unavailable });
  }
  const [option] = Object.keys(request.options ?? {});
  if (option !== undefined) throw new OptionsInvalid({ target: target.name, option });
  const version = await findVersion(parts, request.modelVersion, context);
  const before = await parts.deployments.get(deploymentName(target.name, version.model));
  const record = changed(
    parts,
    { target: target.name, ...version },
    { state: DeploymentState.PENDING, reason: '' },
  );
  if (request.validateOnly) {
    yield { deployment: deploymentMessage(record) };
    return;
  }
  yield* bringUp({ parts, target, record, before }, context);
}

/** A deployment that is about to change. */
interface Change {
  readonly parts: DeployParts;
  readonly target: Target;
  readonly record: DeploymentRecord;
  readonly before: DeploymentRecord | undefined;
}

async function* bringUp(change: Change, context: CallContext): AsyncGenerator<DeployResponse> {
  const { parts, target, record, before } = change;
  await parts.deployments.put(record);
  yield { deployment: deploymentMessage(record) };
  try {
    await target.deploy(record, context);
  } catch (error) {
    const reason = isDeclaredError(error) ? error.message : 'the target failed in an unexpected way';
    // What answered before still does, so the record says so and the caller gets the error.
    const kept = before?.state === DeploymentState.READY ? before : undefined;
    await parts.deployments.put(kept ?? changed(parts, record, { state: DeploymentState.FAILED, reason }));
    throw error;
  }
  const ready = changed(parts, record, { state: DeploymentState.READY, reason: '' });
  await parts.deployments.put(ready);
  yield { deployment: deploymentMessage(ready) };
}

/** Looks the version up, so that an alias becomes the number it points to now. */
async function findVersion(parts: DeployParts, name: string, context: CallContext): Promise<TargetVersion> {
  if (!VERSION_NAME.test(name)) throw new VersionNameInvalid({ name: name.slice(0, 200) });
  const { version } = await parts.registry.getVersion({ name }, { context });
  if (version === undefined) throw new VersionNameInvalid({ name });
  return { model: version.model, version: String(version.version) };
}

function findTarget(targets: readonly Target[], name: string): Target {
  const target = targets.find((candidate) => candidate.name === name);
  if (target !== undefined) return target;
  throw new TargetUnknown({
    target: name.slice(0, 100),
    known: targets.map((candidate) => candidate.name).join(', '),
  });
}

function changed(
  parts: DeployParts,
  record: Pick<DeploymentRecord, 'target' | 'model' | 'version'>,
  change: Pick<DeploymentRecord, 'state' | 'reason'>,
): DeploymentRecord {
  const { target, model, version } = record;
  return { target, model, version, ...change, updateTimeMs: parts.clock.now() };
}
