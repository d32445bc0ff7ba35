import { ChildExited, SessionClosed } from './errors.ts';
import { OrtChild } from './ort-child.ts';
import type { GraphOptimization, OpenedReply } from './session-options.ts';
import type { OrtTensors } from './tensor.ts';

const FIRST_BACKOFF_MS = 250;
const LONGEST_BACKOFF_MS = 30_000;
const DEFAULT_PROVIDERS: readonly string[] = ['cpu'];

/** What a slot needs to open its model, also a second time. */
export interface SlotOptions {
  /** ONNX file. */
  readonly model: Uint8Array;
  /** Threads of one operator. */
  readonly intraOpThreads?: number;
  /** Execution providers in order of preference. */
  readonly executionProviders?: readonly string[];
  /** How far the graph is rewritten. */
  readonly graphOptimization?: GraphOptimization;
  /** Resident memory above which the child is replaced between two runs. */
  readonly memoryLimitMib?: number;
}

/** One place of a session: a child process that is replaced when it ends. */
export class OrtSlot {
  readonly #options: SlotOptions;
  readonly #onChange: () => void;
  #child: OrtChild | undefined;
  #state: 'starting' | 'idle' | 'busy' | 'waiting' | 'closed' = 'starting';
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: SlotOptions, onChange: () => void) {
    this.#options = options;
    this.#onChange = onChange;
  }

  /** True when a run can start now. */
  get idle(): boolean {
    return this.#state === 'idle';
  }

  /** True while the slot will not become idle soon: its child could not be started again. */
  get failing(): boolean {
    return this.#state === 'waiting' || this.#state === 'closed';
  }

  /** Process id of the child; 0 when there is none. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Starts a child and opens the model in it. @throws whatever {@link OrtChild.open} does. */
  async start(): Promise<OpenedReply> {
    this.#state = 'starting';
    const child = new OrtChild();
    this.#child = child;
    try {
      const reply = await child.open(this.#options.model, {
        intraOpThreads: this.#options.intraOpThreads ?? 1,
        executionProviders: this.#options.executionProviders ?? DEFAULT_PROVIDERS,
        graphOptimization: this.#options.graphOptimization ?? 'all',
      });
      if (this.#closed()) throw new SessionClosed({});
      this.#failures = 0;
      this.#state = 'idle';
      void child.exited.then(() => this.#childEnded(child));
      return reply;
    } catch (error) {
      child.kill();
      throw error;
    }
  }

  /** Runs the model; the caller has seen that the slot is idle. */
  async run(feeds: OrtTensors): Promise<OrtTensors> {
    const child = this.#child;
    if (child === undefined || this.#state !== 'idle') throw new ChildExited({ how: 'not started' });
    this.#state = 'busy';
    try {
      const result = await child.run(feeds);
      if (result.memoryBytes > (this.#options.memoryLimitMib ?? Infinity) * 1_048_576) this.#recycle(child);
      return result.outputs;
    } finally {
      if (this.#child === child && this.#state === 'busy') this.#state = 'idle';
      this.#onChange();
    }
  }

  /** Ends the run that is under way, the only way there is. */
  kill(): void {
    this.#child?.kill();
  }

  /** Ends the child for good. */
  async close(): Promise<void> {
    this.#state = 'closed';
    clearTimeout(this.#timer);
    await this.#child?.close();
  }

  /** Replaces a child that has grown too big; memory that ONNX Runtime keeps is only given back by the end of a process. */
  #recycle(child: OrtChild): void {
    this.#child = undefined;
    void child.close();
    this.#restart();
  }

  #childEnded(child: OrtChild): void {
    if (this.#child !== child || this.#state === 'closed') return;
    this.#child = undefined;
    this.#restart();
  }

  #restart(): void {
    this.start().then(
      () => this.#onChange(),
      () => this.#startLater(),
    );
  }

  // A method, because the compiler takes a field for unchanged over an await.
  #closed(): boolean {
    return this.#state === 'closed';
  }

  #startLater(): void {
    if (this.#closed()) return;
    this.#state = 'waiting';
    const delayMs = Math.min(FIRST_BACKOFF_MS * 2 ** this.#failures, LONGEST_BACKOFF_MS);
    this.#failures += 1;
    this.#timer = setTimeout(() => this.#restart(), delayMs);
    this.#timer.unref();
    this.#onChange();
  }
}
