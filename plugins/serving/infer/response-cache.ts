import { createHash } from 'node:crypto';
import type { OrtTensor, OrtTensors } from 'lamella/sdk/ort';
import type { ModelConfig } from 'lamella/proto/inference/model_config';
import type { WantedOutput } from './classification.ts';
import { ModelLoadFailed } from './errors.ts';

interface Kept {
  readonly key: string;
  readonly owner: object;
  readonly outputs: OrtTensors;
  readonly sizeBytes: number;
  /** Until when it may be given, by the clock of `performance.now()`. */
  readonly untilMs: number;
  newer: Kept | undefined;
  older: Kept | undefined;
}

/** What a kept answer costs beside its values: key, objects, list. */
const OVERHEAD_BYTES = 512;

/**
 * Answers of models, the most recently used ones within a number of bytes.
 *
 * @remarks The order is a list of its own, so that a hit changes no Map; see docs/decisions/0014. Keys are SHA-256, since who
 * finds two inputs with one key would get somebody else's answer.
 */
export class ResponseCache {
  readonly #limitBytes: number;
  readonly #byKey: Map<string, Kept> = new Map();
  #newest: Kept | undefined;
  #oldest: Kept | undefined;
  #sizeBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Bytes that are in use. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** The answer to a request; `undefined` when it is not kept. */
  get(key: string): OrtTensors | undefined {
    const kept = this.#byKey.get(key);
    if (kept === undefined) return undefined;
    if (kept.untilMs <= performance.now()) {
      this.#drop(kept);
      return undefined;
    }
    this.#unlink(kept);
    this.#link(kept);
    return kept.outputs;
  }

  /**
   * Keeps an answer; not one that is larger than the whole cache.
   *
   * @param kept - Its owner is what {@link ResponseCache.forget} names; it is kept for `ttlMs` milliseconds at the most.
   */
  put(
    key: string,
    outputs: OrtTensors,
    { owner, ttlMs = Infinity }: { readonly owner: object; readonly ttlMs?: number },
  ): void {
    const sizeBytes =
      OVERHEAD_BYTES + Object.values(outputs).reduce((sum, tensor) => sum + bytesOf(tensor), 0);
    if (sizeBytes > this.#limitBytes || this.#byKey.has(key)) return;
    const kept: Kept = {
      key,
      owner,
      outputs: copied(outputs),
      sizeBytes,
      untilMs: performance.now() + ttlMs,
      newer: undefined,
      older: undefined,
    };
    this.#byKey.set(key, kept);
    this.#link(kept);
    this.#sizeBytes += sizeBytes;
    while (this.#sizeBytes > this.#limitBytes && this.#oldest !== undefined) this.#drop(this.#oldest);
  }

  /** Drops all answers of a model that is gone. */
  forget(owner: object): void {
    for (let kept = this.#oldest; kept !== undefined;) {
      const { newer } = kept;
      if (kept.owner === owner) this.#drop(kept);
      kept = newer;
    }
  }

  #drop(kept: Kept): void {
    this.#byKey.delete(kept.key);
    this.#unlink(kept);
    this.#sizeBytes -= kept.sizeBytes;
  }

  #link(kept: Kept): void {
    kept.older = this.#newest;
    kept.newer = undefined;
    if (this.#newest === undefined) this.#oldest = kept;
    else this.#newest.newer = kept;
    this.#newest = kept;
  }

  #unlink(kept: Kept): void {
    const { newer, older } = kept;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    kept.newer = undefined;
    kept.older = undefined;
  }
}

/**
 * Names a request: two of the same name get the same answer.
 *
 * @param model - Name of the loaded model, which no other one ever has.
 */
export function cacheKey(model: string, inputs: OrtTensors, wanted: readonly WantedOutput[]): string {
  const hash = createHash('sha256');
  const names = Object.keys(inputs).toSorted((left, right) => (left < right ? -1 : 1));
  // Everything that varies stands with its length, so that no two requests look the same in a row.
  hash.update(
    JSON.stringify([model, wanted, names.map((name) => [name, inputs[name]?.type, inputs[name]?.dims])]),
  );
  for (const name of names) {
    const data = inputs[name]?.data;
    if (data === undefined) continue;
    if ('buffer' in data) hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    else hash.update(JSON.stringify(data));
  }
  return hash.digest('base64');
}

function bytesOf({ data }: OrtTensor): number {
  if ('buffer' in data) return data.byteLength;
  return data.reduce((sum, text) => sum + 16 + text.length * 2, 0);
}

/** Copies, since what a run gives is a part of the buffer of its whole batch. */
function copied(outputs: OrtTensors): OrtTensors {
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { type, dims, data }]) => [name, { type, dims, data: data.slice() }]),
  );
}

/** Name of the parameter in a model's configuration. */
const PARAMETER = 'response_cache_ttl_seconds';

/**
 * How long answers of a model are kept, in milliseconds, by its parameter `response_cache_ttl_seconds`, which Triton does not
 * have, or else by the option; `Infinity` for no end.
 *
 * @throws MODEL_LOAD_FAILED
 */
export function cacheTtlMs({ name: model, parameters }: ModelConfig, defaultSeconds: number): number {
  const seconds = Number(parameters[PARAMETER]?.stringValue ?? defaultSeconds);
  if (!Number.isFinite(seconds) || seconds < 0) {
    const problem = `parameter '${PARAMETER}' must be a number from 0, which means no end`;
    throw new ModelLoadFailed({ model, problem });
  }
  return seconds === 0 ? Infinity : seconds * 1_000;
}
