/** When an endpoint is left out for what its requests came to. */
export interface OutlierRules {
  readonly consecutiveFailures: number;
  readonly ejectionMs: number;
  readonly maxEjectionMs: number;
  readonly maxEjectionPercent: number;
  readonly intervalMs: number;
  readonly failurePercent: number;
  readonly minRequests: number;
  /** Standard deviations below the mean. */
  readonly successRateDeviation: number;
}

/** Endpoints below which a deviation from their mean says nothing. */
const MIN_FOR_DEVIATION = 3;

/** What is known of one endpoint. */
export class OutlierRecord {
  ejectedUntilMs = 0;
  /** Times that it was left out; falls again with each good interval. */
  streak = 0;
  /** Times that it was left out at all. */
  ejections = 0;
  reason = '';
  failuresInRow = 0;
  answered = 0;
  failed = 0;

  isEjected(nowMs: number): boolean {
    return nowMs < this.ejectedUntilMs;
  }
}

/** Watches the endpoints of one split and leaves out those that fail; as many as the rules allow at a time. */
export class Outliers {
  readonly #rules: OutlierRules;
  readonly #records: readonly OutlierRecord[];
  #lookedMs: number | undefined;

  constructor(rules: OutlierRules, records: readonly OutlierRecord[]) {
    this.#rules = rules;
    this.#records = records;
  }

  /** Takes in what a request came to. */
  record(record: OutlierRecord, hasFailed: boolean, nowMs: number): void {
    this.#look(nowMs);
    if (record.isEjected(nowMs)) return;
    if (!hasFailed) {
      record.answered += 1;
      record.failuresInRow = 0;
      return;
    }
    record.failed += 1;
    record.failuresInRow += 1;
    if (record.failuresInRow < this.#rules.consecutiveFailures) return;
    this.#eject(record, nowMs, `${record.failuresInRow} requests in a row failed`);
  }

  /** Endpoints that may be left out at the same time. */
  get limit(): number {
    const count = this.#records.length;
    return Math.min(count - 1, Math.floor((count * this.#rules.maxEjectionPercent) / 100));
  }

  #eject(record: OutlierRecord, nowMs: number, reason: string): void {
    const ejected = this.#records.filter((each) => each.isEjected(nowMs)).length;
    if (ejected >= this.limit) return;
    record.streak += 1;
    record.ejections += 1;
    record.failuresInRow = 0;
    record.reason = reason;
    record.ejectedUntilMs =
      nowMs + Math.min(this.#rules.maxEjectionMs, this.#rules.ejectionMs * record.streak);
  }

  /** Looks at the interval that has passed, if one has. */
  #look(nowMs: number): void {
    this.#lookedMs ??= nowMs;
    if (nowMs - this.#lookedMs < this.#rules.intervalMs) return;
    this.#lookedMs = nowMs;
    const known = this.#records.filter(
      (record) => !record.isEjected(nowMs) && record.answered + record.failed >= this.#rules.minRequests,
    );
    const least = this.#leastRate(known);
    for (const record of known) {
      const rate = rateOf(record);
      const failedPercent = Math.round((1 - rate) * 100);
      if (failedPercent >= this.#rules.failurePercent)
        this.#eject(record, nowMs, `${failedPercent} % of its requests failed`);
      else if (rate < least) this.#eject(record, nowMs, `${failedPercent} % failed, more than elsewhere`);
    }
    for (const record of this.#records) {
      if (record.answered > 0 && record.failed === 0) record.streak = Math.max(0, record.streak - 1);
      record.answered = 0;
      record.failed = 0;
    }
  }

  #leastRate(records: readonly OutlierRecord[]): number {
    if (records.length < MIN_FOR_DEVIATION) return 0;
    const rates = records.map(rateOf);
    const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
    const variance = rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / rates.length;
    return mean - this.#rules.successRateDeviation * Math.sqrt(variance);
  }
}

function rateOf({ answered, failed }: OutlierRecord): number {
  return answered / (answered + failed);
}
