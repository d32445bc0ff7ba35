import { Code, CODES, type ServerTls } from 'lamella/sdk';
import {
  BalancePolicy,
  type EndpointTarget,
  type EndpointTls,
  HealthCheck,
  type HealthPolicy,
  type HedgePolicy,
  type KeySource,
  type OutlierPolicy,
  type RetryPolicy,
  type Traffic,
  type TrafficSplit,
} from 'lamella/proto/lamella/serving/v1/balance_service';
import { millisecondsOf, numberOf, refuse } from './check-values.ts';
import type { OutlierRules } from './outliers.ts';
import { canaryOf, mirrorOf } from './read-trial.ts';
import type {
  HealthSettings,
  HedgeSettings,
  Key,
  RetrySettings,
  SplitSettings,
  TargetSettings,
  TrafficSettings,
} from './settings.ts';

const MAX_SPLITS = 16;
const MAX_TARGETS = 64;
const MAX_WEIGHT = 1_000_000;
const LABEL = /^[a-z][a-z0-9_-]{0,62}$/;
const HEADER = /^[a-z0-9_.-]{1,100}$/;

/** Headers that prove who somebody is; they do not travel. */
const SECRET_HEADERS: ReadonlySet<string> = new Set(['authorization', 'cookie', 'lamella-token']);

/** Checks the traffic of a model and fills in the defaults. @throws TRAFFIC_INVALID */
export function readTraffic(traffic: Traffic): TrafficSettings {
  const { model, policy, idempotent, experiment } = traffic;
  if (model === '' || model.length > 200) refuse('traffic.model must have 1 to 200 characters');
  const splits = splitsOf(traffic);
  const labels = new Set(splits.map(({ label }) => label));
  const stickyKey = keyOf(traffic.stickyKey, 'sticky_key');
  const hashKey = keyOf(traffic.hashKey, 'hash_key') ?? stickyKey;
  if (policy === BalancePolicy.CONSISTENT_HASH && hashKey === undefined)
    refuse('the policy CONSISTENT_HASH needs traffic.hash_key or traffic.sticky_key');
  checkExperiment(experiment, stickyKey);
  if (traffic.hedge !== undefined && !idempotent) refuse('traffic.hedge needs traffic.idempotent');
  return {
    model,
    splits,
    stickyKey,
    policy,
    hashKey,
    health: healthOf(traffic.health),
    outlier: outlierOf(traffic.outlier),
    isIdempotent: idempotent,
    retry: retryOf(traffic.retry),
    hedge: hedgeOf(traffic.hedge),
    canary: canaryOf(traffic.canary, labels),
    mirror: mirrorOf(traffic.mirror, labels),
    experiment,
  };
}

function splitsOf({ splits, model }: Traffic): SplitSettings[] {
  if (splits.length === 0 || splits.length > MAX_SPLITS) refuse(`traffic.splits must be 1 to ${MAX_SPLITS}`);
  const read = splits.map((split) => splitOf(split, model));
  if (new Set(read.map(({ label }) => label)).size < read.length)
    refuse('traffic.splits must have different labels');
  if (read.every(({ weight }) => weight === 0)) refuse('one of traffic.splits must have a weight above 0');
  return read;
}

function checkExperiment(experiment: string, stickyKey: Key | undefined): void {
  if (experiment === '') return;
  if (!LABEL.test(experiment))
    refuse('traffic.experiment must be lower-case letters, digits, - and _, 63 at the most');
  if (stickyKey === undefined) refuse('traffic.experiment needs traffic.sticky_key');
}

function splitOf({ label, model, version, weight, endpoints }: TrafficSplit, own: string): SplitSettings {
  if (!LABEL.test(label))
    refuse(
      `the label '${label.slice(0, 80)}' must begin with a lower-case letter and have letters, digits, - and _`,
    );
  if (weight > MAX_WEIGHT) refuse(`the weight of '${label}' is above ${MAX_WEIGHT}`);
  if (endpoints.length > MAX_TARGETS) refuse(`'${label}' has more than ${MAX_TARGETS} endpoints`);
  const targets = endpoints.length === 0 ? [LOCAL] : endpoints.map(targetOf);
  if (new Set(targets.map(({ address }) => address)).size < targets.length)
    refuse(`two endpoints of '${label}' have the same address`);
  return { label, model: model === '' ? own : model, version, weight, targets };
}

const LOCAL: TargetSettings = { address: '', weight: 1, tls: undefined, plaintext: false, tokenSecret: '' };

function targetOf({ address, weight, tls, plaintext, tokenSecret }: EndpointTarget): TargetSettings {
  if (weight > MAX_WEIGHT) refuse(`the weight of '${address}' is above ${MAX_WEIGHT}`);
  if (tokenSecret !== '' && tls === undefined && !LOOPBACK.test(address))
    refuse(`the token for '${address.slice(0, 100)}' needs tls`);
  return {
    address,
    weight: weight === 0 ? 1 : weight,
    tls: tls === undefined ? undefined : tlsOf(tls),
    plaintext,
    tokenSecret,
  };
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\]):\d+$/i;

/** Texts that are not given stay away, so that defaults hold. */
function tlsOf({ caFile, certificateFile, keyFile, serverName }: EndpointTls): ServerTls {
  const given = (text: string): string | undefined => (text === '' ? undefined : text);
  return {
    caFile: given(caFile),
    certificateFile: given(certificateFile),
    keyFile: given(keyFile),
    serverName: given(serverName),
  };
}

function keyOf(key: KeySource | undefined, field: string): Key | undefined {
  if (key === undefined) return undefined;
  const { case: kind, value = '' } = key.source;
  if (kind === undefined || value === '' || value.length > 100)
    return refuse(`traffic.${field} must name a header or a parameter in 1 to 100 characters`);
  if (kind === 'header' && !mayTravel(value))
    refuse(`traffic.${field}: '${value}' is no header that may be used`);
  return { kind, name: value };
}

function mayTravel(header: string): boolean {
  return HEADER.test(header) && !header.endsWith('-bin') && !SECRET_HEADERS.has(header);
}

function healthOf(health: HealthPolicy | undefined): HealthSettings {
  const count = (value: number | undefined, otherwise: number, field: string): number =>
    numberOf(value ?? 0, otherwise, { field: `health.${field}`, most: 1_000 });
  const check = health?.check ?? HealthCheck.UNSPECIFIED;
  return {
    check: check === HealthCheck.UNSPECIFIED ? HealthCheck.MODEL_READY : check,
    intervalMs: millisecondsOf(health?.interval, 2_000, 'health.interval'),
    timeoutMs: millisecondsOf(health?.timeout, 1_000, 'health.timeout'),
    unhealthyThreshold: count(health?.unhealthyThreshold, 2, 'unhealthy_threshold'),
    healthyThreshold: count(health?.healthyThreshold, 1, 'healthy_threshold'),
  };
}

function outlierOf(outlier: OutlierPolicy | undefined): OutlierRules {
  const count = (value: number | undefined, otherwise: number, most: number): number =>
    numberOf(value ?? 0, otherwise, { field: 'outlier', most });
  return {
    consecutiveFailures: count(outlier?.consecutiveFailures, 5, 10_000),
    ejectionMs: millisecondsOf(outlier?.ejectionTime, 5_000, 'outlier.ejection_time'),
    maxEjectionMs: millisecondsOf(outlier?.maxEjectionTime, 300_000, 'outlier.max_ejection_time'),
    maxEjectionPercent: count(outlier?.maxEjectionPercent, 50, 100),
    intervalMs: millisecondsOf(outlier?.interval, 10_000, 'outlier.interval'),
    failurePercent: count(outlier?.failurePercent, 85, 100),
    minRequests: count(outlier?.minRequests, 50, 1_000_000),
    successRateDeviation: count(outlier?.successRateDeviation, 1_900, 1_000_000) / 1_000,
  };
}

const RETRYABLE: ReadonlySet<string> = new Set([
  'UNAVAILABLE',
  'RESOURCE_EXHAUSTED',
  'ABORTED',
  'INTERNAL',
  'UNKNOWN',
  'DATA_LOSS',
]);

function retryOf(retry: RetryPolicy | undefined): RetrySettings {
  const wrong = retry?.codes.find((name) => !RETRYABLE.has(name));
  if (wrong !== undefined)
    refuse(`'${wrong.slice(0, 40)}' in traffic.retry.codes is none of ${[...RETRYABLE].join(', ')}`);
  const names = retry?.codes ?? [];
  const codes = names.map((name) => CODES[name as keyof typeof CODES]);
  return {
    maxAttempts: numberOf(retry?.maxAttempts ?? 0, 3, { field: 'retry.max_attempts', most: 10 }),
    budgetPercent: numberOf(retry?.budgetPercent ?? 0, 10, { field: 'retry.budget_percent', most: 100 }),
    codes: new Set(codes.length === 0 ? [Code.UNAVAILABLE] : codes),
  };
}

function hedgeOf(hedge: HedgePolicy | undefined): HedgeSettings | undefined {
  if (hedge === undefined) return undefined;
  return {
    delayMs: hedge.delay === undefined ? undefined : millisecondsOf(hedge.delay, 0, 'hedge.delay'),
    percentile: numberOf(hedge.percentile, 95, { field: 'hedge.percentile', most: 99 }),
    budgetPercent: numberOf(hedge.budgetPercent, 4, { field: 'hedge.budget_percent', most: 5 }),
  };
}
