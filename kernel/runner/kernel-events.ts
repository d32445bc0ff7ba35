import { fromJson, type JsonValue, toJson } from '@bufbuild/protobuf';
import { timestampMs, ValueSchema } from '@bufbuild/protobuf/wkt';
import { EventService, type SubscribeResponse } from '../../proto/gen/lamella/kernel/v1/event_service_pb.ts';
import type { Client, EventMessage, Events, EventSubscription } from '../../sdk/index.ts';
import type { PluginGuard } from '../capabilities/guard.ts';
import { type ClientTransport, createClient } from '../client.ts';
import { takePayload } from '../topics/payload.ts';

/** Topics as a plugin outside the kernel's thread sees them: through the kernel's EventService. */
export class KernelEvents implements Events {
  readonly #client: Client<typeof EventService>;
  readonly #signal: AbortSignal;
  readonly #guard: PluginGuard;
  /** Subscriptions that the kernel has not confirmed. */
  readonly #pending: Set<Promise<unknown>> = new Set();

  constructor(transport: ClientTransport, signal: AbortSignal, guard: PluginGuard) {
    this.#guard = guard;
    this.#client = createClient(EventService, transport);
    this.#signal = signal;
  }

  async publish(topic: string, payload: unknown): Promise<void> {
    this.#guard.require('topics', topic);
    // The copy says the same of a payload that is not JSON as the kernel would.
    const { payload: json } = takePayload(topic, payload);
    // Calls may overtake each other; whoever has subscribed before gets what is published after.
    await Promise.all(this.#pending);
    await this.#client.publish({ topic, payload: fromJson(ValueSchema, json) });
  }

  subscribe(topic: string, { fromSequence = 0 }: EventSubscription = {}): AsyncIterable<EventMessage> {
    this.#guard.require('topics', topic);
    const request = { topics: [topic], fromSequence: BigInt(fromSequence) };
    const answers = this.#client.subscribe(request, { signal: this.#signal })[Symbol.asyncIterator]();
    // Asked for at once, so that the subscription begins here as it does in the kernel's thread.
    const first = answers.next();
    const confirmed = first.then(ignore, ignore).finally(() => this.#pending.delete(confirmed));
    this.#pending.add(confirmed);
    return messages(answers, first, this.#signal);
  }
}

const ignore = (): void => undefined;

type Answers = AsyncIterator<SubscribeResponse>;

async function* messages(
  answers: Answers,
  first: ReturnType<Answers['next']>,
  signal: AbortSignal,
): AsyncGenerator<EventMessage> {
  try {
    for (let next = await first; next.done !== true; next = await answers.next()) {
      const { event, dropped } = next.value;
      if (event === undefined) continue;
      yield {
        topic: event.topic,
        payload: event.payload === undefined ? null : (toJson(ValueSchema, event.payload) as JsonValue),
        timeMs: event.publishTime === undefined ? 0 : timestampMs(event.publishTime),
        source: event.source,
        sequence: Number(event.sequence),
        dropped: Number(dropped),
      };
    }
  } catch (error) {
    // A subscription ends quietly with its instance, wherever that runs.
    if (!signal.aborted) throw error;
  } finally {
    await answers.return?.();
  }
}
