import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { pageOf, type ServiceImplementation } from 'lamella/sdk';
import {
  type BalanceService,
  CanaryState,
  CanaryStatusSchema,
  type EndpointSchema,
  type MirrorReportSchema,
  TrafficSchema,
} from 'lamella/proto/lamella/serving/v1/balance_service';
import type { BalancedEntry, BalancedModels } from './balanced-models.ts';
import type { CanaryProgress, CanaryTrial } from './canary-trial.ts';
import { refuse } from './check-values.ts';

type EndpointInit = MessageInitShape<typeof EndpointSchema>;

/** The service over the balanced models. */
export function balanceService(models: BalancedModels): ServiceImplementation<typeof BalanceService> {
  return {
    setTraffic: async ({ traffic, validateOnly }) => {
      if (traffic === undefined) return refuse('traffic is missing');
      const { canaryStatus: _status, updateTime: _time, ...asked } = traffic;
      return { traffic: shown(await models.set(create(TrafficSchema, asked), validateOnly)) };
    },
    getTraffic: ({ model }) => ({ traffic: shown(models.get(model)) }),
    listTraffic: (request) => {
      const { items, nextPageToken } = pageOf(models.all(), ({ traffic }) => traffic.model, request);
      return { traffic: items.map(shown), nextPageToken };
    },
    deleteTraffic: async ({ model }) => {
      await models.delete(model);
      return {};
    },
    listEndpoints: (request) => {
      const entries = request.model === '' ? models.all() : [models.get(request.model)];
      const keyOf = ({ model = '', split = '', address = '' }: EndpointInit): string =>
        [model, split, address].join('\n');
      const { items, nextPageToken } = pageOf(entries.flatMap(endpointsOf), keyOf, request);
      return { endpoints: items, nextPageToken };
    },
    promoteCanary: async ({ model, complete }) => ({
      traffic: shown(
        await models.moveCanary(model, ['running'], (trial) => {
          if (complete) trial.complete(BY_HAND);
          else trial.advance(BY_HAND);
        }),
      ),
    }),
    rollbackCanary: async ({ model, reason }) => ({
      traffic: shown(
        await models.moveCanary(model, ['running', 'promoted'], (trial) =>
          trial.rollBack(reason === '' ? BY_HAND : reason.slice(0, 500)),
        ),
      ),
    }),
    getMirrorReport: ({ model }) => ({ report: reportOf(models.get(model)) }),
  };
}

const BY_HAND = 'somebody asked for it';

function reportOf({ model: { mirror } }: BalancedEntry): MessageInitShape<typeof MirrorReportSchema> {
  const { equal = 0, different = 0, failed = 0, left_out: leftOut = 0 } = mirror?.counts ?? {};
  return {
    equal: BigInt(equal),
    different: BigInt(different),
    failed: BigInt(failed),
    leftOut: BigInt(leftOut),
    samples: (mirror?.samples ?? []).map(({ timeMs, requestId, difference }) => ({
      time: timestampFromMs(timeMs),
      requestId,
      difference,
    })),
  };
}

const STATES: Readonly<Record<CanaryProgress['state'], CanaryState>> = {
  running: CanaryState.RUNNING,
  promoted: CanaryState.PROMOTED,
  'rolled back': CanaryState.ROLLED_BACK,
};

function statusOf(trial: CanaryTrial): MessageInitShape<typeof CanaryStatusSchema> {
  const { progress, percent, candidate, baseline } = trial;
  return {
    state: STATES[progress.state],
    percent,
    reason: progress.reason,
    updateTime: timestampFromMs(progress.updateTimeMs),
    candidateRequests: BigInt(candidate.requests),
    candidateFailures: BigInt(candidate.failures),
    baselineRequests: BigInt(baseline.requests),
    baselineFailures: BigInt(baseline.failures),
  };
}

function shown({
  traffic,
  model: { trial },
  updateTimeMs,
}: BalancedEntry): MessageInitShape<typeof TrafficSchema> {
  const updateTime = timestampFromMs(updateTimeMs);
  return trial === undefined
    ? { ...traffic, updateTime }
    : { ...traffic, updateTime, canaryStatus: create(CanaryStatusSchema, statusOf(trial)) };
}

function endpointsOf({ model }: BalancedEntry): EndpointInit[] {
  const nowMs = performance.now();
  return [...model.groups.values()].flatMap(({ settings, replicas }) =>
    replicas.map((replica) => {
      const reason = replica.obstacle(nowMs);
      return {
        model: model.settings.model,
        split: settings.label,
        address: replica.address,
        available: reason === '',
        reason,
        inFlight: replica.inFlight,
        requests: BigInt(replica.requests),
        failures: BigInt(replica.failures),
        ejections: replica.outlier.ejections,
      };
    }),
  );
}
