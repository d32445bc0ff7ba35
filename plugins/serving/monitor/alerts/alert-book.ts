import type { Storage } from 'lamella/sdk';
import { lookbackMs } from '../promql/expression.ts';
import type { Rule } from '../rules/rule.ts';
import type { Alert } from './alert.ts';
import type { Candidate, Candidates } from './rule-evaluation.ts';

const PREFIX = 'alert/';

/** When a rule was evaluated. */
export interface Observed {
  readonly nowMs: number;
  /** Time of the oldest sample there is. */
  readonly oldestMs: number;
}

/**
 * All alerts, pending and firing.
 *
 * @remarks A firing alert is kept on disk before anybody learns of it. After a restart it fires on until the rule can see
 * as far back as it looks, since the samples of before are gone.
 */
export class AlertBook {
  readonly #storage: Storage;
  readonly #onUnsaved: (error: unknown) => void;
  readonly #alerts: Map<string, Alert> = new Map();
  /** Alerts that were read from disk and were not seen since. */
  readonly #recalled: Set<string> = new Set();

  constructor(storage: Storage, onUnsaved: (error: unknown) => void) {
    this.#storage = storage;
    this.#onUnsaved = onUnsaved;
  }

  /** Reads the alerts that fired before a restart; call once before anything else. */
  async load(): Promise<void> {
    for await (const { value } of this.#storage.range(PREFIX)) {
      const alert = value as Alert;
      this.#alerts.set(alert.id, alert);
      this.#recalled.add(alert.id);
    }
  }

  /** All alerts. */
  all(): Alert[] {
    return [...this.#alerts.values()];
  }

  /** Alerts that fire. */
  firing(): Alert[] {
    return this.all().filter(({ state }) => state === 'firing');
  }

  /** Takes in what a rule gives now. */
  async observe(rule: Rule, candidates: Candidates, observed: Observed): Promise<void> {
    const next = [...candidates.values()].map((candidate) => this.#seen(rule, candidate, observed.nowMs));
    const missing = this.all().filter(({ id, ruleId }) => ruleId === rule.id && !candidates.has(id));
    const ended = missing.filter((alert) => !this.#firesOn(rule, alert, observed));
    await this.#save(next, ended);
    for (const alert of next) {
      this.#alerts.set(alert.id, alert);
      this.#recalled.delete(alert.id);
    }
    for (const { id } of ended) this.#forget(id);
  }

  /** Ends the alerts of rules that are no more. */
  async keepOnly(ruleIds: ReadonlySet<string>): Promise<void> {
    const ended = this.all().filter(({ ruleId }) => !ruleIds.has(ruleId));
    await this.#save([], ended);
    for (const { id } of ended) this.#forget(id);
  }

  #seen(rule: Rule, candidate: Candidate, nowMs: number): Alert {
    const known = this.#alerts.get(candidate.id);
    const activeMs = known?.activeMs ?? nowMs;
    if (known?.state === 'firing') return { ...known, ...candidate, seenMs: nowMs };
    // A clock that was set back does not make an alert wait longer than its rule says.
    const isDue = nowMs - activeMs >= rule.forMs;
    return {
      ...candidate,
      state: isDue ? 'firing' : 'pending',
      activeMs: Math.min(activeMs, nowMs),
      firedMs: isDue ? nowMs : 0,
      seenMs: nowMs,
    };
  }

  #firesOn(rule: Rule, { id, state, seenMs }: Alert, { nowMs, oldestMs }: Observed): boolean {
    if (state === 'pending') return false;
    if (this.#recalled.has(id) && nowMs - oldestMs < lookbackMs(rule.expression)) return true;
    return nowMs - seenMs < rule.keepFiringForMs;
  }

  async #save(next: readonly Alert[], ended: readonly Alert[]): Promise<void> {
    const fired = next.filter(
      ({ id, state }) => state === 'firing' && this.#alerts.get(id)?.state !== 'firing',
    );
    const writes = [
      ...fired.map((alert) => this.#storage.put(PREFIX + alert.id, alert)),
      ...ended.filter(({ state }) => state === 'firing').map(({ id }) => this.#storage.delete(PREFIX + id)),
    ];
    // A disk that is full must not hide an alert.
    for (const result of await Promise.allSettled(writes)) {
      if (result.status === 'rejected') this.#onUnsaved(result.reason);
    }
  }

  #forget(id: string): void {
    this.#alerts.delete(id);
    this.#recalled.delete(id);
  }
}
