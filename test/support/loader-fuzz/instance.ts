import { Code } from '../../../sdk/index.ts';
import type { Call } from '../../../kernel/call.ts';
import { PluginExited } from '../../../kernel/errors.ts';
import { LinkLost } from '../../../kernel/link/errors.ts';
import { Admission } from '../../../kernel/loader/admission.ts';
import { CircuitBreaker } from '../../../kernel/loader/circuit-breaker.ts';
import { type Instance, InstanceLoad } from '../../../kernel/loader/instance.ts';
import { Vitals } from '../../../kernel/loader/vitals.ts';
import { StatusError } from '../../../kernel/status-error.ts';
import type { Target } from '../../../kernel/target.ts';
import { CALL_LIMITS } from './plugins.ts';

/** What a call asks the instance to do. */
export const ANSWER = 0;
/** The call fails by the plugin's fault. */
export const FAIL = 1;
/** The call runs until somebody ends it. */
export const WAIT = 2;

/** An instance whose life is in the hands of a test. It ends calls as processes and workers do. */
export class FuzzInstance implements Instance {
  readonly pluginId: string;
  readonly version: string;
  readonly isolation = 'PROCESS' as const;
  readonly digest: string;
  readonly pid: undefined = undefined;
  readonly http: undefined = undefined;
  readonly load: InstanceLoad;
  readonly target: Target;
  readonly crashed: Promise<string>;
  /** Times it was told to stop. */
  stops = 0;
  /** Whether it has ended by itself. */
  isGone = false;
  readonly #running: Map<Call, (failure: Error | undefined) => void> = new Map();
  readonly #beforeStopped: () => Promise<void>;
  readonly #onCallTooLate: (instance: FuzzInstance) => void;
  #settleCrashed: (how: string) => void = () => undefined;

  constructor(init: {
    readonly pluginId: string;
    readonly version: string;
    readonly digest: string;
    /** Resolves when the instance may stop. */
    readonly beforeStopped: () => Promise<void>;
    /** Told of a call that comes after the instance was told to stop. */
    readonly onCallTooLate: (instance: FuzzInstance) => void;
  }) {
    this.pluginId = init.pluginId;
    this.version = init.version;
    this.digest = init.digest;
    this.#beforeStopped = init.beforeStopped;
    this.#onCallTooLate = init.onCallTooLate;
    this.load = loadOf(init.pluginId);
    this.crashed = new Promise((resolve) => {
      this.#settleCrashed = resolve;
    });
    this.target = {
      unary: (_, [request = ANSWER], call) => this.#answer(request, call),
      stream: (_, requests, call) => this.#stream(requests, call),
    };
  }

  /** Whether it runs: neither ended nor told to stop. */
  get isRunning(): boolean {
    return !this.isGone && this.stops === 0;
  }

  get runningCalls(): Call[] {
    return [...this.#running.keys()];
  }

  /** It ends by itself; the kernel hears of it when `announced` resolves. */
  crash(announced: Promise<void>): void {
    if (!this.isRunning) return;
    this.isGone = true;
    this.#endAll();
    void announced.then(() => this.#settleCrashed('signal SIGSEGV'));
  }

  /** Ends a call that runs. */
  finish(call: Call, isWell: boolean): void {
    this.#running.get(call)?.(isWell ? undefined : brokenOnPurpose());
  }

  async stop(): Promise<void> {
    this.stops += 1;
    await this.#beforeStopped();
    this.#endAll();
  }

  #endAll(): void {
    const failure = new LinkLost({ address: this.pluginId });
    for (const end of this.#running.values()) end(failure);
  }

  async #answer(request: number, call: Call): Promise<Uint8Array> {
    if (this.stops > 0) this.#onCallTooLate(this);
    if (this.isGone) throw new PluginExited({ plugin: this.pluginId, how: 'signal SIGSEGV' });
    if (request === FAIL) throw brokenOnPurpose();
    if (request === WAIT) await this.#wait(call);
    return new TextEncoder().encode(this.version);
  }

  async #wait(call: Call): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const end = (failure: Error | undefined): void => {
        this.#running.delete(call);
        if (failure === undefined) resolve();
        else reject(failure);
      };
      this.#running.set(call, end);
      call.onAbort((reason) => end(reason as Error));
    });
  }

  async *#stream(requests: AsyncIterable<Uint8Array>, call: Call): AsyncGenerator<Uint8Array> {
    for await (const [request = ANSWER] of requests) yield await this.#answer(request, call);
  }
}

function brokenOnPurpose(): StatusError {
  return new StatusError({ code: Code.INTERNAL, message: 'broken on purpose' });
}

/** With a queue and a circuit, as the kernel gives them. */
function loadOf(pluginId: string): InstanceLoad {
  const vitals = new Vitals();
  const limits = { faultRatio: 0.5, minimumCalls: 20, windowMs: 10_000, openMs: 5_000 };
  const breaker = new CircuitBreaker(limits, (isOpen) => vitals.set('circuit', isOpen ? 'it fails' : ''));
  return new InstanceLoad(new Admission({ pluginId, ...CALL_LIMITS, breaker }), vitals);
}
