import type { SeriesLabels } from '../promql/labels.ts';

/** An alert as a receiver learns of it. */
export interface NotifiedAlert {
  readonly id: string;
  readonly labels: SeriesLabels;
  readonly annotations: Readonly<Record<string, string>>;
  readonly value: number;
  readonly isFiring: boolean;
  readonly startMs: number;
  /** Time at which it ended; 0 while it fires. */
  readonly endMs: number;
}

/** What a receiver is told at once: alerts that belong together. */
export interface Notification {
  /** The same for each attempt to send it, also after a restart, so that the receiver can drop what it knows. */
  readonly id: string;
  readonly receiver: string;
  /** Labels by which the alerts were put together. */
  readonly groupLabels: SeriesLabels;
  readonly timeMs: number;
  readonly alerts: readonly NotifiedAlert[];
  /** Alerts that were left out because there are too many. */
  readonly leftOut: number;
}

/** Why a notification was not delivered. */
export class DeliveryProblem extends Error {
  /** Earliest time of the next attempt that the receiver wishes, in milliseconds from now. */
  readonly retryAfterMs: number;
  /** Whether the receiver wants nothing any more. */
  readonly isFinal: boolean;

  constructor(problem: string, wish: { readonly retryAfterMs?: number; readonly isFinal?: boolean } = {}) {
    super(problem);
    this.name = 'DeliveryProblem';
    this.retryAfterMs = wish.retryAfterMs ?? 0;
    this.isFinal = wish.isFinal ?? false;
  }
}

/** Takes notifications elsewhere. */
export interface Sink {
  /** Resolves when the other side has taken the notification. @throws DeliveryProblem or any other error */
  send(notification: Notification, signal: AbortSignal): Promise<void>;
}
