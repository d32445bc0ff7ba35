import type { MessageInitShape } from '@bufbuild/protobuf';
import { type Duration, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { type Counter, isDeclaredError, type Metrics } from 'lamella/sdk';
import type { OrtTensors } from 'lamella/sdk/ort';
import {
  type InferenceSampleSchema,
  PayloadMode,
  type SampleRule,
} from 'lamella/proto/lamella/serving/v1/sample_service';
import type { ModelShape } from './model-shape.ts';
import { type SampledTensors, sampleTensors } from './sample-tensors.ts';

/** A sample as a message. */
export type SampleInit = MessageInitShape<typeof InferenceSampleSchema>;

/** What is known of a request that ended. */
export interface EndedRequest {
  readonly shape: ModelShape;
  readonly requestId: string;
  /** On the clock of `performance.now()`. */
  readonly startMs: number;
  /** What was read of the request. */
  readonly feeds?: { readonly tensors: OrtTensors; readonly rows: number } | undefined;
  readonly outputs?: OrtTensors | undefined;
  readonly error?: unknown;
}

/** What somebody takes. */
export interface TakenSamples {
  readonly samples: SampleInit[];
  /** Samples that found no room since the last time. */
  readonly dropped: number;
  readonly hasMore: boolean;
}

/** Payload of a sample. */
interface Sampled {
  readonly inputs: SampledTensors['tensors'];
  readonly outputs: SampledTensors['tensors'];
  readonly sizeBytes: number;
}

interface Waiting {
  readonly sample: SampleInit;
  readonly sizeBytes: number;
}

/** Samples that may wait, and bytes of their payloads. */
const MOST_WAITING = 10_000;
const MOST_BYTES = 32 * 1_024 * 1_024;
/** Bytes of payloads in one answer. */
const ANSWER_BYTES = 8 * 1_024 * 1_024;
/** Bytes that a sample takes beside its payload, roughly. */
const SAMPLE_BYTES = 500;
const DEFAULT_PAYLOAD_BYTES = 64 * 1_024;

/** Copies some requests for whoever asks for them; never waits, and costs a comparison while nobody does. */
export class Sampler {
  readonly #sampled: Counter;
  readonly #dropped: Counter;
  #rules: readonly SampleRule[] = [];
  #byModel: Map<string, SampleRule | undefined> = new Map();
  #endMs = 0;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #droppedSinceTaken = 0;

  constructor(metrics: Metrics) {
    const labels = ['model'];
    this.#sampled = metrics.counter({
      name: 'lamella_inference_samples_total',
      help: 'Requests that were sampled',
      labels,
    });
    this.#dropped = metrics.counter({
      name: 'lamella_inference_samples_dropped_total',
      help: 'Samples that found no room, since nobody took those before in time',
      labels,
    });
  }

  /** True while requests may be sampled. */
  get isOn(): boolean {
    return this.#rules.length > 0;
  }

  /** Decides whether a request that begins now is sampled, and how. */
  choose(model: string, nowMs: number): SampleRule | undefined {
    if (nowMs > this.#endMs) {
      this.#end();
      return undefined;
    }
    let rule = this.#byModel.get(model);
    if (rule === undefined && !this.#byModel.has(model)) {
      rule = this.#rules.find((candidate) => candidate.model === model || candidate.model === '*');
      this.#byModel.set(model, rule);
    }
    return rule !== undefined && Math.random() < rule.sampleRate ? rule : undefined;
  }

  /** Takes a request that was chosen, once it has ended. */
  add(rule: SampleRule, ended: EndedRequest): void {
    const { shape, requestId, startMs, error } = ended;
    const labels = { model: shape.name };
    if (this.#waiting.length >= MOST_WAITING || this.#waitingBytes >= MOST_BYTES) {
      this.#droppedSinceTaken += 1;
      this.#dropped.add(1, labels);
      return;
    }
    const latencyMs = performance.now() - startMs;
    const payload = payloadOf(rule, ended);
    this.#sampled.add(1, labels);
    this.#waitingBytes += payload.sizeBytes + SAMPLE_BYTES;
    this.#waiting.push({
      sizeBytes: payload.sizeBytes + SAMPLE_BYTES,
      sample: {
        requestId: requestId.slice(0, 200),
        model: shape.name,
        modelVersion: shape.version,
        time: timestampFromMs(Math.round(Date.now() - latencyMs)),
        latency: microseconds(latencyMs),
        outcome: outcomeOf(error),
        rows: ended.feeds?.rows ?? 0,
        inputs: [...payload.inputs],
        outputs: [...payload.outputs],
      },
    });
  }

  /** Sets the rules and takes what waits. */
  take(rules: readonly SampleRule[], leaseMs: number): TakenSamples {
    this.#rules = rules;
    this.#byModel = new Map();
    this.#endMs = performance.now() + leaseMs;
    let bytes = 0;
    const over = this.#waiting.findIndex(({ sizeBytes }) => (bytes += sizeBytes) > ANSWER_BYTES);
    const count = over === -1 ? this.#waiting.length : Math.max(1, over);
    const taken = this.#waiting.splice(0, count);
    for (const { sizeBytes } of taken) this.#waitingBytes -= sizeBytes;
    const dropped = this.#droppedSinceTaken;
    this.#droppedSinceTaken = 0;
    const hasMore = this.#waiting.length > 0;
    if (rules.length === 0) this.#end();
    return { samples: taken.map(({ sample }) => sample), dropped, hasMore };
  }

  /** Nobody asks any more: what waits is not kept for ever. */
  #end(): void {
    this.#rules = [];
    this.#byModel.clear();
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#droppedSinceTaken = 0;
  }
}

/** Whole microseconds, which is as fine as the clock is and what the message can hold. */
function microseconds(ms: number): Pick<Duration, 'seconds' | 'nanos'> {
  const us = Math.round(ms * 1_000);
  return { seconds: BigInt(Math.floor(us / 1e6)), nanos: (us % 1e6) * 1_000 };
}

function outcomeOf(error: unknown): string {
  if (error === undefined) return 'OK';
  return isDeclaredError(error) ? error.reason : 'INTERNAL';
}

function payloadOf(rule: SampleRule, { shape, feeds, outputs }: EndedRequest): Sampled {
  const { mode, maxBytes } = rule;
  const limit = maxBytes === 0n ? DEFAULT_PAYLOAD_BYTES : Number(maxBytes);
  const redacted = new Set(rule.redactedTensors);
  const copy = (tensors: OrtTensors, ports: ModelShape['inputs'], room: number): SampledTensors =>
    sampleTensors(tensors, { ports, redacted, room, hasRows: shape.batchable });
  const inputs = copy(mode === PayloadMode.RESPONSE ? {} : (feeds?.tensors ?? {}), shape.inputs, limit);
  const room = limit - inputs.sizeBytes;
  const answers = copy(mode === PayloadMode.REQUEST ? {} : (outputs ?? {}), shape.outputs, room);
  return {
    inputs: inputs.tensors,
    outputs: answers.tensors,
    sizeBytes: inputs.sizeBytes + answers.sizeBytes,
  };
}
