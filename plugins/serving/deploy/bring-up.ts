import type { MessageInitShape } from '@bufbuild/protobuf';
import { type CallContext, type Clock, isDeclaredError } from 'lamella/sdk';
import {
  type DeployRequest,
  type DeployResponseSchema,
  DeploymentState,
} from 'lamella/proto/lamella/serving/v1/deploy_service';
import { deploymentMessage, deploymentName, type DeploymentRecord } from './deployments.ts';
import { TargetFilesOnly } from './errors.ts';
import { type Planned, planOf } from './plan.ts';
import type { DeployParts } from './service.ts';
import type { LiveTarget, Target } from './target.ts';

type DeployResponse = MessageInitShape<typeof DeployResponseSchema>;

/** The live side of a target. @throws TARGET_FILES_ONLY */
export function liveOf({ name, live, nextStep = 'use them as they are.' }: Target): LiveTarget {
  if (live === undefined) throw new TargetFilesOnly({ target: name, nextStep });
  return live;
}

/** Deploys and tells each state. */
export async function* deploy(
  parts: DeployParts,
  request: DeployRequest,
  context: CallContext,
): AsyncGenerator<DeployResponse> {
  const planned = await planOf(parts, request, context);
  liveOf(planned.target);
  const { target, plan } = planned;
  const { name, namespace } = plan.spec;
  const record = changed(
    parts.clock,
    {
      target: target.name,
      model: plan.model,
      version: plan.version,
      ...(target.name === 'local' ? {} : { place: { name, namespace } }),
    },
    { state: DeploymentState.PENDING, reason: '' },
  );
  if (request.validateOnly) {
    // Renders, since only that finds what a target cannot do.
    for await (const file of target.render(plan, context)) void file;
    yield { deployment: deploymentMessage(record) };
    return;
  }
  yield* bringUp(parts, { planned, record }, context);
}

/** A deployment that is about to change. */
interface Change {
  readonly planned: Planned;
  readonly record: DeploymentRecord;
}

async function* bringUp(
  { deployments, clock }: DeployParts,
  { planned, record }: Change,
  context: CallContext,
): AsyncGenerator<DeployResponse> {
  const before = await deployments.get(deploymentName(record.target, record.model));
  await deployments.put(record);
  yield { deployment: deploymentMessage(record) };
  try {
    await liveOf(planned.target).deploy(planned.plan, context);
  } catch (error) {
    const reason = isDeclaredError(error) ? error.message : 'the target failed in an unexpected way';
    // What answered before still does, so the record says so and the caller gets the error.
    const kept = before?.state === DeploymentState.READY ? before : undefined;
    await deployments.put(kept ?? changed(clock, record, { state: DeploymentState.FAILED, reason }));
    throw error;
  }
  const ready = changed(clock, record, { state: DeploymentState.READY, reason: '' });
  await deployments.put(ready);
  yield { deployment: deploymentMessage(ready) };
}

/** A record in another state, now. */
export function changed(
  clock: Clock,
  record: Pick<DeploymentRecord, 'target' | 'model' | 'version' | 'place'>,
  change: Pick<DeploymentRecord, 'state' | 'reason'>,
): DeploymentRecord {
  const { target, model, version, place } = record;
  const kept = place === undefined ? {} : { place };
  return { target, model, version, ...kept, ...change, updateTimeMs: clock.now() };
}
