import { ErrorCode, Http2Fault } from './protocol.ts';

/** Calls that a client may cancel on one connection: at once, and each second from then on. */
const BURST = 10_000;
const PER_SECOND = 1_000;

/**
 * Holds a client to the number of streams that it may break, or have broken by faults of its own: such streams count for
 * no limit of streams, and each has cost us something ("rapid reset", CVE-2023-44487).
 *
 * @remarks The limits are far above what a proxy in front of chat clients needs.
 */
export class ResetBudget {
  #left = BURST;
  #atMs = performance.now();

  /** @throws Http2Fault when there were too many. */
  spend(): void {
    if (this.#left < 1) this.#refill();
    if (this.#left < 1) throw new Http2Fault(ErrorCode.enhanceYourCalm, 'it breaks off streams without end');
    this.#left -= 1;
  }

  #refill(): void {
    const nowMs = performance.now();
    this.#left = Math.min(BURST, this.#left + ((nowMs - this.#atMs) / 1_000) * PER_SECOND);
    this.#atMs = nowMs;
  }
}
