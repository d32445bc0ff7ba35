import { isDeclaredError } from '../sdk/index.ts';
import type { Call } from './call.ts';
import type { Instance } from './loader/instance.ts';
import { EXTENSION_HEADER, type Router } from './router.ts';
import type { Target } from './target.ts';

/** What happens around every call, in the order of the list. Hooks sit on the hot path: a promise is the exception. */
export interface Interceptor {
  readonly name: string;
  /** Sees the call before it is dispatched; throws to refuse it. The chain waits for a promise. */
  readonly before?: (call: Call, path: string) => void | Promise<void>;
  /** Sees the outcome; `error` is undefined for a call that went well. */
  readonly after?: (call: Call, path: string, error: unknown) => void;
}

/** Finds who serves a call, counts it there, and passes it on. The one way into a plugin. */
export class Dispatcher implements Target {
  readonly #router: Router;
  readonly #interceptors: readonly Interceptor[];

  constructor(router: Router, interceptors: readonly Interceptor[]) {
    this.#router = router;
    this.#interceptors = interceptors;
  }

  /** The instance for a call, or the end of the wait for one, after which it has to be asked for again. */
  instance(path: string, call: Call): Instance | Promise<unknown> {
    const service = serviceOf(path);
    const { gate } = this.#router;
    if (!gate.isOpen && !this.#router.has(service)) return gate.wait(service, call);
    const slot = this.#router.slot(service, () => {
      const extension = call.headers.get(EXTENSION_HEADER);
      return typeof extension === 'string' ? extension : '';
    });
    const found = slot.acquire(call);
    return found instanceof Promise ? (call.observation?.waited('parked', found) ?? found) : found;
  }

  unary(path: string, request: Uint8Array, call: Call): Promise<Uint8Array> {
    return this.around(path, call, (instance) => {
      call.observation?.request.only(request);
      return instance.target.unary(path, request, call);
    });
  }

  /** Runs one call of a unary kind inside the chain, on whatever serves it. */
  async around<Result>(
    path: string,
    call: Call,
    run: (instance: Instance) => Promise<Result>,
  ): Promise<Result> {
    let instance: Instance | undefined;
    let failure: unknown;
    try {
      const waiting = this.#before(call, path);
      if (waiting !== undefined) await waiting;
      for (;;) {
        let found = this.instance(path, call);
        // What came may have left again by the time that its waiters are told.
        for (; found instanceof Promise; found = this.instance(path, call)) await found;
        instance = found;
        const entering = enter(instance, call);
        if (entering !== undefined) {
          await entering;
          call.throwIfAborted();
        }
        try {
          const answer = await run(instance);
          call.observation?.response.only(answer);
          return answer;
        } catch (error) {
          if (!wasNeverSent(error)) throw error;
          instance.load.leave(call, error);
          // The process is going down and the slot does not know yet; this call has touched nothing of it.
          await instance.crashed;
        }
      }
    } catch (error) {
      failure = call.explain(error);
      throw failure;
    } finally {
      instance?.load.leave(call, failure);
      // What the call started for itself ends with it.
      call.end();
      this.#after(call, path, failure);
    }
  }

  async *stream(path: string, requests: AsyncIterable<Uint8Array>, call: Call): AsyncGenerator<Uint8Array> {
    yield* this.aroundStream(path, call, (instance) => {
      const counted = call.observation?.request.counted(requests) ?? requests;
      return instance.target.stream(path, counted, call);
    });
  }

  /** Like {@link around}, for calls that answer with a stream. */
  async *aroundStream<Item>(
    path: string,
    call: Call,
    run: (instance: Instance) => AsyncIterable<Item>,
  ): AsyncGenerator<Item> {
    let instance: Instance | undefined;
    let failure: unknown;
    try {
      const waiting = this.#before(call, path);
      if (waiting !== undefined) await waiting;
      let found = this.instance(path, call);
      // No pause once it is found: meanwhile it could be taken out of service and stopped.
      for (; found instanceof Promise; found = this.instance(path, call)) await found;
      instance = found;
      const entering = enter(instance, call);
      if (entering !== undefined) {
        await entering;
        call.throwIfAborted();
      }
      const answers = run(instance);
      yield* call.observation?.response.counted(answers) ?? answers;
    } catch (error) {
      failure = call.explain(error);
      throw failure;
    } finally {
      // A caller who left has read no error.
      failure ??= call.abortReason;
      instance?.load.leave(call, failure);
      call.end();
      this.#after(call, path, failure);
    }
  }

  #before(call: Call, path: string, from = 0): Promise<void> | undefined {
    for (let index = from; index < this.#interceptors.length; index += 1) {
      const waiting = this.#interceptors[index]?.before?.(call, path);
      if (waiting instanceof Promise) return waiting.then(() => this.#before(call, path, index + 1));
    }
    return undefined;
  }

  #after(call: Call, path: string, error: unknown): void {
    for (const { after } of this.#interceptors) after?.(call, path, error);
  }
}

/** Begins a call in an instance, now or when there is room. */
function enter(instance: Instance, call: Call): undefined | Promise<void> {
  return call.observation === undefined ? instance.load.enter(call) : call.observation.enter(instance, call);
}

/** Reasons of a link that is gone before a call was written to it. */
const NEVER_SENT: ReadonlySet<string> = new Set(['LINK_CLOSED', 'PLUGIN_EXITED']);

function wasNeverSent(error: unknown): boolean {
  return isDeclaredError(error) && NEVER_SENT.has(error.reason);
}

/** `/package.Service/Method` to `package.Service`. */
export function serviceOf(path: string): string {
  return path.slice(1, path.indexOf('/', 1));
}
