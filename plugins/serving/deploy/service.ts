import type { Client, Clock, ServiceImplementation } from 'lamella/sdk';
import { pageOf } from 'lamella/sdk';
import type { JsonObject } from '@bufbuild/protobuf';
import type { RegistryService } from 'lamella/proto/lamella/model/v1/registry_service';
import { type DeployService, DeploymentState } from 'lamella/proto/lamella/serving/v1/deploy_service';
import { changed, deploy, liveOf } from './bring-up.ts';
import { deploymentMessage, deploymentName, type DeploymentRecord, type Deployments } from './deployments.ts';
import { DeploymentNotFound } from './errors.ts';
import { findTarget, planOf } from './plan.ts';
import { renderDeployment } from './render.ts';
import type { Target } from './target.ts';

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

/** The service over its parts. */
export function deployService(parts: DeployParts): ServiceImplementation<typeof DeployService> {
  const { deployments, targets, clock } = parts;
  const existing = async (name: string): Promise<DeploymentRecord> => {
    const record = await deployments.get(name);
    if (record === undefined) throw new DeploymentNotFound({ name: name.slice(0, 200) });
    return record;
  };
  return {
    deploy: (request, context) => deploy(parts, request, context),
    renderDeployment: (request, context) => renderDeployment(parts, request, context),
    diffDeployment: async (request, context) => {
      const { target, plan } = await planOf(parts, request, context);
      const changes = await liveOf(target).diff(plan, context);
      return { changes: changes.map((change) => ({ ...change, fields: [...change.fields] })) };
    },
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
      const live = liveOf(findTarget(targets, record.target));
      await deployments.put(changed(clock, record, { state: DeploymentState.REMOVING, reason: '' }));
      const { model, place = { name: '', namespace: '' } } = record;
      await live.undeploy({ model, ...place }, context);
      await deployments.delete(name);
      const removed = changed(clock, record, { state: DeploymentState.REMOVED, reason: '' });
      return { deployment: deploymentMessage(removed) };
    },
    listTargets: (request) => {
      const { items, nextPageToken } = pageOf(targets, ({ name }) => name, request);
      return {
        targets: items.map(({ name, description, options }) => ({
          name,
          description,
          available: true,
          // A schema has symbols beside its JSON.
          optionsSchema: JSON.parse(JSON.stringify(options)) as JsonObject,
        })),
        nextPageToken,
      };
    },
  };
}
