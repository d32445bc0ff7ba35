import type { ModelInferRequest, ModelInferResponse } from 'lamella/proto/inference/grpc_inference_service';
import type { MirrorResult } from './balance-metrics.ts';
import { differenceOf } from './compare-answers.ts';
import { failureOf } from './failure.ts';
import type { Outcome } from './replica.ts';
import type { MirrorSettings } from './settings.ts';
import type { SplitGroup } from './split-group.ts';

/** A mirrored request whose answer was different. */
export interface DifferentAnswer {
  readonly timeMs: number;
  readonly requestId: string;
  readonly difference: string;
}

const MAX_SAMPLES = 20;

/** Longest time of a copy, in milliseconds; nobody waits for it. */
const TIMEOUT_MS = 30_000;

/** Where a mirror sends to and whom it tells. */
export interface MirrorParts {
  readonly group: SplitGroup;
  readonly clock: { now(): number };
  readonly onResult: (result: MirrorResult) => void;
  readonly onOutcome: (outcome: Outcome) => void;
}

/** Sends copies of answered requests to another split and compares the answers. Nobody waits for it. */
export class Mirror {
  readonly #settings: MirrorSettings;
  readonly #parts: MirrorParts;
  readonly counts: Record<MirrorResult, number> = { equal: 0, different: 0, failed: 0, left_out: 0 };
  /** The newest first. */
  readonly samples: DifferentAnswer[] = [];
  #inFlight = 0;

  constructor(settings: MirrorSettings, parts: MirrorParts) {
    this.#settings = settings;
    this.#parts = parts;
  }

  /** Copies a request that was answered, if it is one of the share and there is room. */
  copy(request: ModelInferRequest, answer: ModelInferResponse): void {
    if (Math.random() * 100 >= this.#settings.percent) return;
    if (this.#inFlight >= this.#settings.maxInFlight) {
      this.#count('left_out');
      return;
    }
    this.#inFlight += 1;
    void this.#send(request, answer).finally(() => {
      this.#inFlight -= 1;
    });
  }

  async #send(request: ModelInferRequest, answer: ModelInferResponse): Promise<void> {
    const { group, onOutcome } = this.#parts;
    const { model: modelName, version: modelVersion } = group.settings;
    try {
      const replica = group.next(Math.floor(Math.random() * 0x1_0000_0000), new Set(), false);
      const copied = { ...request, modelName, modelVersion };
      const other = await replica.send(copied, { timeoutMs: TIMEOUT_MS }, onOutcome);
      this.#compare(request.id, differenceOf(answer, other, this.#settings));
    } catch (error) {
      this.#count('failed');
      this.#keep(request.id, `it failed: ${failureOf(error, 0).message}`);
    }
  }

  #compare(requestId: string, difference: string): void {
    this.#count(difference === '' ? 'equal' : 'different');
    if (difference !== '') this.#keep(requestId, difference);
  }

  #keep(requestId: string, difference: string): void {
    const timeMs = this.#parts.clock.now();
    this.samples.unshift({
      timeMs,
      requestId: requestId.slice(0, 200),
      difference: difference.slice(0, 500),
    });
    this.samples.length = Math.min(this.samples.length, MAX_SAMPLES);
  }

  #count(result: MirrorResult): void {
    this.counts[result] += 1;
    this.#parts.onResult(result);
  }
}
