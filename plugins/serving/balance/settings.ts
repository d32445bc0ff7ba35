import type { Code, ServerTls } from 'lamella/sdk';
import type { BalancePolicy, HealthCheck } from 'lamella/proto/lamella/serving/v1/balance_service';
import type { OutlierRules } from './outliers.ts';

/** Where a key of a request stands. */
export interface Key {
  readonly kind: 'header' | 'parameter';
  readonly name: string;
}

/** A server that answers for a split; an empty address means this kernel. */
export interface TargetSettings {
  readonly address: string;
  readonly weight: number;
  readonly tls: ServerTls | undefined;
  readonly plaintext: boolean;
  readonly tokenSecret: string;
}

/** A share of the requests. */
export interface SplitSettings {
  readonly label: string;
  /** Model at the endpoints. */
  readonly model: string;
  /** Version at the endpoints; empty leaves it to them. */
  readonly version: string;
  readonly weight: number;
  readonly targets: readonly TargetSettings[];
}

/** How endpoints are asked for their health. */
export interface HealthSettings {
  readonly check: HealthCheck;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly unhealthyThreshold: number;
  readonly healthyThreshold: number;
}

/** When a failed request is made again. */
export interface RetrySettings {
  readonly maxAttempts: number;
  readonly budgetPercent: number;
  readonly codes: ReadonlySet<Code>;
}

/** When a second endpoint is asked. */
export interface HedgeSettings {
  /** Wait in milliseconds; `undefined` takes it from the percentile. */
  readonly delayMs: number | undefined;
  readonly percentile: number;
  readonly budgetPercent: number;
}

/** How a canary grows and when it is given up. */
export interface CanarySettings {
  readonly candidate: string;
  readonly baseline: string;
  /** In percent, ascending; the last one is 100. */
  readonly steps: readonly number[];
  readonly intervalMs: number;
  readonly minRequests: number;
  /** Part of the requests that may fail beyond that of the baseline. */
  readonly maxFailureIncrease: number;
  /** Factor on the baseline's p99. */
  readonly maxP99Factor: number;
  readonly isManual: boolean;
}

/** Copies of requests. */
export interface MirrorSettings {
  readonly split: string;
  readonly percent: number;
  readonly absoluteTolerance: number;
  readonly relativeTolerance: number;
  readonly maxInFlight: number;
}

/** The traffic of a model with all defaults filled in. */
export interface TrafficSettings {
  readonly model: string;
  readonly splits: readonly SplitSettings[];
  readonly stickyKey: Key | undefined;
  readonly policy: BalancePolicy;
  readonly hashKey: Key | undefined;
  readonly health: HealthSettings;
  readonly outlier: OutlierRules;
  readonly isIdempotent: boolean;
  readonly retry: RetrySettings;
  readonly hedge: HedgeSettings | undefined;
  readonly canary: CanarySettings | undefined;
  readonly mirror: MirrorSettings | undefined;
  readonly experiment: string;
}
