import { fromJson, type JsonValue, toJson } from '@bufbuild/protobuf';
import { timestampFromMs, ValueSchema } from '@bufbuild/protobuf/wkt';
import type { EventService } from '../../proto/gen/lamella/kernel/v1/event_service_pb.ts';
import type { ServiceImplementation } from '../../sdk/index.ts';
import { EventTopicsUnsupported } from '../errors.ts';
import type { EventBus } from '../events.ts';

/** EventService over the kernel's bus, for plugin processes and outside clients. */
export function createEventService(bus: EventBus): ServiceImplementation<typeof EventService> {
  let sequence = 0n;
  return {
    publish: ({ topic, payload }, context) => {
      bus.publish(topic, payload === undefined ? null : toJson(ValueSchema, payload), context.peer);
      sequence += 1n;
      return { sequence };
    },
    async *subscribe({ topics }, context) {
      const [topic, ...more] = topics;
      if (topic === undefined || more.length > 0) throw new EventTopicsUnsupported({});
      let received = 0n;
      for await (const message of bus.subscribe(topic, context.signal)) {
        received += 1n;
        yield {
          event: {
            topic: message.topic,
            payload: fromJson(ValueSchema, message.payload as JsonValue),
            source: message.source,
            publishTime: timestampFromMs(message.timeMs),
            sequence: received,
          },
          dropped: 0n,
        };
      }
    },
  };
}
