import { fromJson, type JsonValue, toJson } from '@bufbuild/protobuf';
import { timestampMs, ValueSchema } from '@bufbuild/protobuf/wkt';
import { EventService } from '../../proto/gen/lamella/kernel/v1/event_service_pb.ts';
import type { Client, EventMessage, Events, Logger } from '../../sdk/index.ts';
import { type ClientTransport, createClient } from '../client.ts';

/** Topics as a plugin process sees them: through the kernel's EventService. */
export class KernelEvents implements Events {
  readonly #client: Client<typeof EventService>;
  readonly #signal: AbortSignal;
  readonly #log: Logger;

  constructor(transport: ClientTransport, signal: AbortSignal, log: Logger) {
    this.#client = createClient(EventService, transport);
    this.#signal = signal;
    this.#log = log;
  }

  publish(topic: string, payload: unknown): void {
    const value = fromJson(ValueSchema, payload as JsonValue);
    this.#client.publish({ topic, payload: value }).catch((error: unknown) => {
      this.#log.warn('an event could not be published', { topic, error });
    });
  }

  async *subscribe(topic: string): AsyncGenerator<EventMessage> {
    const answers = this.#client.subscribe({ topics: [topic] }, { signal: this.#signal });
    for await (const { event } of answers) {
      if (event === undefined) continue;
      yield {
        topic: event.topic,
        payload: event.payload === undefined ? null : toJson(ValueSchema, event.payload),
        timeMs: event.publishTime === undefined ? 0 : timestampMs(event.publishTime),
        source: event.source,
      };
    }
  }
}
