import { RateLimited } from './errors.ts';
import type { Principal } from './principal.ts';

/** A token bucket: `burst` calls at once, `perSecond` in the long run. */
export interface RateLimit {
  readonly perSecond: number;
  readonly burst: number;
}

interface Bucket {
  tokens: number;
  filledMs: number;
}

/** Buckets kept; the one that was used longest ago goes first, and would be full by then. */
const BUCKET_LIMIT = 10_000;

/**
 * Token buckets by name.
 *
 * @param now - A clock that never jumps, in milliseconds: a clock that is set back must not lock anybody out.
 */
export class TokenBuckets {
  readonly #limit: RateLimit;
  readonly #now: () => number;
  readonly #buckets: Map<string, Bucket> = new Map();

  constructor(limit: RateLimit, now: () => number = () => performance.now()) {
    this.#limit = limit;
    this.#now = now;
  }

  /** Takes a token; returns 0, or the milliseconds until there is one. */
  take(name: string): number {
    const { perSecond, burst } = this.#limit;
    const nowMs = this.#now();
    const bucket = this.#buckets.get(name) ?? { tokens: burst, filledMs: nowMs };
    // To the end of the order: the first entry is the one used longest ago.
    this.#buckets.delete(name);
    this.#buckets.set(name, bucket);
    if (this.#buckets.size > BUCKET_LIMIT) this.#forgetOldest();
    bucket.tokens = Math.min(burst, bucket.tokens + ((nowMs - bucket.filledMs) / 1000) * perSecond);
    bucket.filledMs = nowMs;
    // Less a nanosecond: rounding errors are no reason to wait.
    if (bucket.tokens < 1) return Math.max(1, Math.ceil(((1 - bucket.tokens) / perSecond) * 1000 - 1e-6));
    bucket.tokens -= 1;
    return 0;
  }

  /** Undoes a take: what was counted turned out to be welcome. */
  giveBack(name: string): void {
    const bucket = this.#buckets.get(name);
    if (bucket !== undefined) bucket.tokens = Math.min(this.#limit.burst, bucket.tokens + 1);
  }

  #forgetOldest(): void {
    for (const name of this.#buckets.keys()) {
      this.#buckets.delete(name);
      return;
    }
  }
}

/** Limits by principal or role, as configured. */
export class RateLimits {
  readonly #buckets: ReadonlyMap<string, { readonly limit: RateLimit; readonly buckets: TokenBuckets }>;

  constructor(limits: Readonly<Record<string, RateLimit>> = {}, now?: () => number) {
    this.#buckets = new Map(
      Object.entries(limits).map(([name, limit]) => [name, { limit, buckets: new TokenBuckets(limit, now) }]),
    );
  }

  /** Counts a call: by the limit of the principal's name, of its first role that has one, or of `*`. @throws RATE_LIMITED */
  count({ name, grants }: Principal): void {
    if (this.#buckets.size === 0) return;
    const key = [name, ...grants, '*'].find((candidate) => this.#buckets.has(candidate));
    const found = key === undefined ? undefined : this.#buckets.get(key);
    if (found === undefined) return;
    const waitMs = found.buckets.take(name);
    if (waitMs === 0) return;
    const { perSecond, burst } = found.limit;
    throw new RateLimited(
      { principal: name, limit: `${perSecond} calls a second (${burst} at once)` },
      { retryAfterMs: waitMs },
    );
  }
}
