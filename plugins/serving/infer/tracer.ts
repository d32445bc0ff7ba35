import { appendFile, rename, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from 'lamella/sdk';
import { type TraceRule, TraceSettings, type TraceValues } from './trace-settings.ts';
import type { RequestTimes } from './statistics.ts';

/** Which request a trace is of. */
export interface Traced {
  readonly model: string;
  readonly version: string;
}

/** Size above which a file of traces becomes the older one of two, in bytes. */
const MAX_FILE_BYTES = 64 * 1_024 * 1_024;
/** Lines that may wait to be written; those beyond are lost. */
const MOST_WAITING = 10_000;

/** Writes the moments of some requests, as Triton names them, one JSON object a line. */
export class Tracer {
  readonly settings: TraceSettings = new TraceSettings();
  readonly #file: string;
  readonly #log: Logger;
  readonly #counters: Map<string, { seen: number; made: number }> = new Map();
  #rules: Map<string, TraceRule> = new Map();
  #isOn = false;
  #nextId = 1;
  #waiting: string[] = [];
  #writing: Promise<void> | undefined;

  constructor(directory: string, log: Logger) {
    this.#file = path.join(directory, 'traces.jsonl');
    this.#log = log;
  }

  /** True when some requests may be traced. */
  get isOn(): boolean {
    return this.#isOn;
  }

  /** Changes the settings of a model, or of all for an empty name; counts begin anew. @throws REQUEST_INVALID */
  change(model: string, values: TraceValues): void {
    this.settings.change(model, values);
    this.#rules = new Map();
    this.#counters.clear();
    // Until all are cleared, each request asks for its rule.
    this.#isOn = true;
  }

  /** Notes a request that was answered, if it is one of those. */
  answered({ model, version }: Traced, times: RequestTimes): void {
    const rule = this.#ruleOf(model);
    if (!rule.isOn) return;
    const counter = this.#counters.get(model) ?? { seen: 0, made: 0 };
    this.#counters.set(model, counter);
    counter.seen += 1;
    if (counter.seen % rule.rate !== 0 || counter.made === rule.count) return;
    counter.made += 1;
    this.#write({ id: this.#nextId, model_name: model, model_version: version, timestamps: moments(times) });
    this.#nextId += 1;
  }

  /** Waits until all is written. */
  async close(): Promise<void> {
    await this.#writing;
  }

  #ruleOf(model: string): TraceRule {
    const known = this.#rules.get(model);
    if (known !== undefined) return known;
    const rule = this.settings.rule(model);
    this.#rules.set(model, rule);
    return rule;
  }

  #write(record: object): void {
    if (this.#waiting.length >= MOST_WAITING) return;
    this.#waiting.push(`${JSON.stringify(record)}\n`);
    this.#writing ??= this.#drain();
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const lines = this.#waiting;
      this.#waiting = [];
      try {
        const { size } = await stat(this.#file).catch(() => ({ size: 0 }));
        if (size > MAX_FILE_BYTES) await rename(this.#file, `${this.#file}.1`);
        await appendFile(this.#file, lines.join(''));
      } catch (error) {
        this.#log.error('Traces could not be written', { error });
      }
    }
    this.#writing = undefined;
  }
}

/** The moments of a request from its times, the last one being now. */
function moments({ totalMs, inputMs, queueMs, runMs, outputMs }: RequestTimes): object[] {
  const endNs = process.hrtime.bigint();
  const startNs = endNs - nanoseconds(totalMs);
  const computeMs = inputMs + runMs + outputMs;
  const computeNs = endNs - nanoseconds(computeMs);
  return [
    ['REQUEST_START', startNs],
    ['QUEUE_START', computeNs - nanoseconds(queueMs)],
    ['COMPUTE_START', computeNs],
    ['COMPUTE_INPUT_END', computeNs + nanoseconds(inputMs)],
    ['COMPUTE_OUTPUT_START', endNs - nanoseconds(outputMs)],
    ['COMPUTE_END', endNs],
    ['REQUEST_END', endNs],
  ].map(([name, ns]) => ({ name, ns: Number(ns) }));
}

function nanoseconds(ms: number): bigint {
  return BigInt(Math.round(ms * 1e6));
}
