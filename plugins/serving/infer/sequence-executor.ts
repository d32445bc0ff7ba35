import type { OrtSession, OrtTensor, OrtTensors } from 'lamella/sdk/ort';
import { batchKey } from './batch.ts';
import { Batcher } from './batcher.ts';
import { QueueFull, RequestInvalid } from './errors.ts';
import type { Execution, ExecutionRequest, Executor, OnRun } from './executor.ts';
import type { ModelShape } from './model-shape.ts';
import { plainQueue } from './queue-policy.ts';
import { SequenceTurns } from './sequence-turns.ts';
import type { SequenceInputs } from './sequence-inputs.ts';
import type { SequencePlace } from './sequence-parameters.ts';

/** What sequences are run by. */
export interface SequenceExecutorParts {
  /** Name, version, inputs and outputs. */
  readonly shape: ModelShape;
  /** The open model; closed with it. */
  readonly session: OrtSession;
  /** Inputs that callers do not send. */
  readonly inputs: SequenceInputs;
  /** Sequences that are under way at once; the requests of others wait. */
  readonly maxSequences: number;
  /** Time after which a silent sequence is forgotten, in milliseconds. */
  readonly maxIdleMs: number;
  /** Longest wait for requests of other sequences, in milliseconds. */
  readonly maxDelayMs: number;
  /** Requests that may wait. */
  readonly queueLimit: number;
  /** Runs the model. */
  readonly run: (tensors: OrtTensors) => Promise<OrtTensors>;
  /** Called once nothing runs any more. */
  readonly end: () => void;
}

class Sequence extends SequenceTurns {
  states: OrtTensors;
  /** True once its place is given back. */
  isOver = false;

  constructor(states: OrtTensors) {
    super();
    this.states = states;
  }
}

/**
 * Runs requests that belong to sequences: those of one after another, those of different ones in batches.
 *
 * @remarks The state of a sequence is here and not in a process, so that every instance can run its next request.
 */
export class SequenceExecutor implements Executor {
  readonly #parts: SequenceExecutorParts;
  readonly #batcher: Batcher;
  readonly #sequences: Map<bigint | string, Sequence> = new Map();
  /** Sequences that wait for one of the others to end. */
  readonly #backlog: Sequence[] = [];
  #active = 0;
  #waiting = 0;
  #idleTimer: NodeJS.Timeout | undefined;
  readonly #idleWaiters: (() => void)[] = [];

  constructor(parts: SequenceExecutorParts, onRun: OnRun) {
    this.#parts = parts;
    const { shape, session, run, queueLimit, maxDelayMs } = parts;
    this.#batcher = new Batcher({
      model: shape.name,
      slots: session.instances,
      policies: { ...plainQueue(queueLimit), maxDelayMs },
      batchable: shape.batchable,
      maxBatchRows: shape.maxBatchRows,
      run,
      onRun,
    });
  }

  get waiting(): number {
    return this.#waiting + this.#batcher.waiting;
  }

  get pids(): readonly number[] {
    return this.#parts.session.pids;
  }

  async execute(request: ExecutionRequest): Promise<Execution> {
    const queuedMs = performance.now();
    const place = this.#placeOf(request);
    const { shape, queueLimit } = this.#parts;
    if (this.#waiting >= queueLimit) {
      throw new QueueFull({ model: shape.name, limit: String(queueLimit) }, { retryAfterMs: 100 });
    }
    const sequence = this.#sequenceOf(place);
    this.#waiting += 1;
    try {
      await sequence.wait(request.call.cancellation, request.cancelError);
    } catch (error) {
      this.#waiting -= 1;
      this.#settle(sequence);
      throw error;
    }
    this.#waiting -= 1;
    try {
      const startMs = performance.now();
      const execution = await this.#run(sequence, request, place);
      return { ...execution, queueMs: startMs - queuedMs + execution.queueMs };
    } finally {
      sequence.done();
      this.#settle(sequence);
    }
  }

  async close(): Promise<void> {
    while (this.#waiting > 0) await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
    await this.#batcher.drained();
    clearTimeout(this.#idleTimer);
    this.#parts.end();
    await this.#parts.session.close();
  }

  #placeOf({ call, rows }: ExecutionRequest): SequencePlace {
    const { name, batchable } = this.#parts.shape;
    if (call.sequence === undefined) {
      throw new RequestInvalid({
        problem: `inference request to model '${name}' must specify a non-zero or non-empty correlation ID`,
      });
    }
    if (batchable && rows !== 1) {
      throw new RequestInvalid({
        problem: `inference request to model '${name}' must specify batch-size 1 due to requirements of sequence batcher`,
      });
    }
    return call.sequence;
  }

  #sequenceOf({ id, start, end }: SequencePlace): Sequence {
    let sequence = this.#sequences.get(id);
    if (sequence === undefined) {
      if (!start) {
        const { name } = this.#parts.shape;
        throw new RequestInvalid({
          problem:
            `inference request for sequence ${id} to model '${name}' must specify the START flag on the first request ` +
            'of the sequence',
        });
      }
      sequence = new Sequence(this.#parts.inputs.initialStates);
      this.#sequences.set(id, sequence);
      this.#backlog.push(sequence);
      this.#admit();
    }
    if (end) {
      // The next request of that id begins another sequence.
      sequence.isEnding = true;
      this.#sequences.delete(id);
    }
    this.#watchIdle();
    return sequence;
  }

  async #run(
    sequence: Sequence,
    { tensors, call, cancelError }: ExecutionRequest,
    place: SequencePlace,
  ): Promise<Execution> {
    const { controls, initialStates, stateInputs } = this.#parts.inputs;
    if (place.start) sequence.states = initialStates;
    const inputs = { ...tensors, ...controls(place), ...sequence.states };
    const answer = await this.#batcher.submit({
      tensors: inputs,
      rows: 1,
      key: batchKey(inputs),
      cancellation: call.cancellation,
      cancelError,
      deadlineMs: call.deadlineMs,
      timeoutMs: call.timeoutMs,
      span: call.span,
    });
    const states: Record<string, OrtTensor> = {};
    for (const [output, input] of stateInputs) {
      const tensor = answer.outputs[output];
      // A copy, since what a run gives is a part of the buffer of its whole batch.
      if (tensor !== undefined) states[input] = { ...tensor, data: tensor.data.slice() };
    }
    sequence.states = states;
    return answer;
  }

  /** Gives sequences that wait the places that are free. */
  #admit(): void {
    while (this.#active < this.#parts.maxSequences) {
      const next = this.#backlog.shift();
      if (next === undefined) return;
      this.#active += 1;
      next.admit();
    }
  }

  #settle(sequence: Sequence): void {
    if (sequence.isEnding && sequence.isQuiet) this.#release(sequence);
    if (this.#waiting > 0) return;
    for (const wake of this.#idleWaiters.splice(0)) wake();
  }

  #release(sequence: Sequence): void {
    if (sequence.isOver) return;
    sequence.isOver = true;
    if (sequence.isAdmitted) this.#active -= 1;
    else this.#backlog.splice(this.#backlog.indexOf(sequence), 1);
    this.#admit();
  }

  #watchIdle(): void {
    if (this.#idleTimer !== undefined || this.#sequences.size === 0) return;
    this.#idleTimer = setTimeout(() => {
      this.#idleTimer = undefined;
      const before = performance.now() - this.#parts.maxIdleMs;
      for (const [id, sequence] of this.#sequences) {
        if (!sequence.isQuiet || !sequence.isAdmitted || sequence.quietSinceMs > before) continue;
        this.#sequences.delete(id);
        this.#release(sequence);
      }
      this.#watchIdle();
    }, this.#parts.maxIdleMs);
    this.#idleTimer.unref();
  }
}
