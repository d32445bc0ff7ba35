import { create, type DescMethod, fromBinary, type Message, toBinary } from '@bufbuild/protobuf';
import { Call } from './call.ts';
import type { ClientTransport, OutgoingCall } from './client.ts';
import { deadlineTimer } from './deadline.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { Instance } from './loader/instance.ts';
import { fromStatus } from './server/status.ts';
import { answers, type BoundMethod, LocalTarget, methodPath, raisedBy } from './target.ts';

/**
 * Calls between plugins of one kernel. To an inline plugin it is a function call with message objects; to any other
 * the message is encoded once and sent over the link.
 */
export class LocalTransport implements ClientTransport {
  readonly #dispatcher: Dispatcher;
  readonly #caller: string;

  constructor(dispatcher: Dispatcher, caller: string) {
    this.#dispatcher = dispatcher;
    this.#caller = caller;
  }

  async unary(method: DescMethod, request: Message, outgoing: OutgoingCall): Promise<Message> {
    const path = methodPath(method);
    const { call, release } = this.#call(outgoing);
    try {
      return await this.#dispatcher.around(path, call, async (instance) => {
        const local = localMethod(instance, path);
        call.observation?.request.only(request);
        if (local === undefined) {
          const bytes = await instance.target.unary(path, toBinary(method.input, request), call);
          return fromBinary(method.output, bytes);
        }
        try {
          return create(method.output, (await local.invoke(request, call)) as Message);
        } catch (error) {
          throw raisedBy(local, error);
        }
      });
    } catch (error) {
      // What another process declared is a declared error here too.
      throw fromStatus(error);
    } finally {
      release();
    }
  }

  async *stream(
    method: DescMethod,
    requests: AsyncIterable<Message>,
    outgoing: OutgoingCall,
  ): AsyncGenerator<Message> {
    const path = methodPath(method);
    const { call, release } = this.#call(outgoing);
    try {
      yield* this.#dispatcher.aroundStream(path, call, (instance) => {
        const local = localMethod(instance, path);
        const counted = call.observation?.request.counted(requests) ?? requests;
        return local === undefined
          ? remote(method, instance, { requests: counted, call })
          : invoke(method, local, { requests: counted, call });
      });
    } catch (error) {
      throw fromStatus(error);
    } finally {
      // The reader may have stopped early; what still runs for it must know.
      release();
    }
  }

  #call(outgoing: OutgoingCall): { call: Call; release: () => void } {
    let cancel: (() => void) | undefined;
    const onAbort = (): void => cancel?.();
    const call = new Call({
      readHeaders: () => outgoing.headers,
      deadlineMs: outgoing.deadlineMs,
      readPeer: () => this.#caller,
      caller: this.#caller,
      onCancelled: (listener) => {
        cancel = listener;
        if (outgoing.signal?.aborted === true) listener();
      },
    });
    outgoing.signal?.addEventListener('abort', onAbort, { once: true });
    const timer = deadlineTimer(call);
    return {
      call,
      release: () => {
        clearTimeout(timer);
        outgoing.signal?.removeEventListener('abort', onAbort);
      },
    };
  }
}

interface Stream {
  readonly requests: AsyncIterable<Message>;
  readonly call: Call;
}

function localMethod(instance: Instance, path: string): BoundMethod | undefined {
  return instance.target instanceof LocalTarget ? instance.target.methods.get(path) : undefined;
}

async function* remote(method: DescMethod, instance: Instance, stream: Stream): AsyncGenerator<Message> {
  const encoded = encodeAll(method, stream.requests);
  for await (const bytes of instance.target.stream(methodPath(method), encoded, stream.call)) {
    yield fromBinary(method.output, bytes);
  }
}

async function* encodeAll(method: DescMethod, requests: AsyncIterable<Message>): AsyncGenerator<Uint8Array> {
  for await (const request of requests) yield toBinary(method.input, request);
}

async function* invoke(method: DescMethod, local: BoundMethod, stream: Stream): AsyncGenerator<Message> {
  for await (const item of answers(local, stream.requests, stream.call)) {
    yield create(method.output, item as Message);
  }
}
