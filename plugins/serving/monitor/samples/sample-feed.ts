import type { MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import {
  type InferenceSample,
  PayloadMode,
  type SampleRuleSchema,
  type SampleService,
} from 'lamella/proto/lamella/serving/v1/sample_service';
import type { Client, Logger } from 'lamella/sdk';
import type { SampleConfig } from '../sample-config.ts';

/** Time between two questions, in milliseconds: short, since samples wait in a queue of limited size. */
const ASK_MS = 1_000;

/** Time that an answer gets, in milliseconds. */
const ANSWER_LIMIT_MS = 5_000;

/** Time for which the rules hold without a question, in milliseconds. */
const LEASE_MS = 30_000;

const MODES = {
  all: PayloadMode.ALL,
  request: PayloadMode.REQUEST,
  response: PayloadMode.RESPONSE,
} as const;

/** Gets samples. */
export interface SampleTaker {
  take(sample: InferenceSample, config: SampleConfig): void;
}

/** What {@link SampleFeed} works with. */
export interface SampleFeedParts {
  readonly client: Client<typeof SampleService>;
  readonly samples: readonly SampleConfig[];
  readonly takers: readonly SampleTaker[];
  readonly log: Logger;
}

/** Tells the inference plugin what to sample, again and again, so that a restart of it changes nothing; hands samples on. */
export class SampleFeed {
  readonly #parts: SampleFeedParts;
  readonly #rules: MessageInitShape<typeof SampleRuleSchema>[];
  #timer: NodeJS.Timeout | undefined;
  #asking: Promise<void> | undefined;
  #lastProblem = '';

  constructor(parts: SampleFeedParts) {
    this.#parts = parts;
    this.#rules = parts.samples.map(({ model, sampleRate, mode, redact, maxBytes }) => ({
      model,
      sampleRate,
      mode: MODES[mode],
      redactedTensors: [...redact],
      maxBytes: BigInt(maxBytes),
    }));
  }

  /** Asks from now on. */
  start(): void {
    const tick = (): void => {
      this.#asking ??= this.#ask().finally(() => {
        this.#asking = undefined;
      });
    };
    tick();
    this.#timer = setInterval(tick, ASK_MS);
  }

  /** Asks a last time; sampling ends with the lease, unless another instance goes on. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#asking;
    await this.#ask();
  }

  async #ask(): Promise<void> {
    const { client, log } = this.#parts;
    try {
      const request = { rules: this.#rules, lease: durationFromMs(LEASE_MS) };
      for (let hasMore = true; hasMore;) {
        const answer = await client.takeSamples(request, { timeoutMs: ANSWER_LIMIT_MS });
        for (const sample of answer.samples) this.#handOn(sample);
        ({ hasMore } = answer);
      }
      this.#lastProblem = '';
    } catch (error) {
      const { message } = error as Error;
      if (message === this.#lastProblem) return;
      this.#lastProblem = message;
      log.warn('Inference gives no samples', { error });
    }
  }

  #handOn(sample: InferenceSample): void {
    const config = this.#parts.samples.find(({ model }) => model === sample.model || model === '*');
    if (config === undefined) return;
    for (const taker of this.#parts.takers) taker.take(sample, config);
  }
}
