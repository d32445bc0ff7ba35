import { fromJson, type JsonValue, type MessageInitShape, toJson } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromMs, ValueSchema } from '@bufbuild/protobuf/wkt';
import type {
  EventService,
  SubscribeResponseSchema,
  TopicStatusSchema,
} from '../../proto/gen/lamella/kernel/v1/event_service_pb.ts';
import { type CallContext, type EventMessage, pageOf, type ServiceImplementation } from '../../sdk/index.ts';
import { Call } from '../call.ts';
import type { CapabilityGuard } from '../capabilities/guard.ts';
import type { EventBus, TopicReport } from '../events.ts';
import { TOKEN_HEADER } from '../kernel-link.ts';
import type { Registrations } from '../loader/registrations.ts';
import type { EventGate } from '../topics/event-gate.ts';

/** EventService over the kernel's bus, for plugins outside its thread and for clients. */
export function createEventService(
  bus: EventBus,
  guard: CapabilityGuard,
  registrations: Registrations,
): ServiceImplementation<typeof EventService> {
  const check = (context: CallContext, topics: readonly string[]): void => {
    if (!(context instanceof Call) || !context.isForeign) return;
    for (const topic of topics) guard.require(context.caller ?? '', 'topics', topic);
  };
  /** Of the instance that calls; clients have none. */
  const gateOf = ({ headers }: CallContext): EventGate | undefined => {
    const token = headers.get(TOKEN_HEADER);
    return typeof token === 'string' ? registrations.find(token)?.events : undefined;
  };
  return {
    publish: async ({ topic, payload }, context) => {
      check(context, [topic]);
      const value = payload === undefined ? null : toJson(ValueSchema, payload);
      return { sequence: BigInt(await bus.accept(topic, value, context.peer)) };
    },
    async *subscribe({ topics, fromSequence }, context) {
      check(context, topics);
      const options = {
        signal: context.signal,
        fromSequence: Number(fromSequence),
        pluginId: context instanceof Call ? context.caller : undefined,
        gate: gateOf(context),
      };
      const events = bus.subscribe(topics, options);
      yield {};
      for await (const event of events) yield eventToProto(event);
    },
    listTopics: async (request) => {
      const { items, nextPageToken } = pageOf(await bus.list(), ({ name }) => name, request);
      return { topics: items.map(topicToProto), nextPageToken };
    },
  };
}

function eventToProto(event: EventMessage): MessageInitShape<typeof SubscribeResponseSchema> {
  const { topic, payload, source, timeMs, sequence, dropped } = event;
  return {
    event: {
      topic,
      payload: fromJson(ValueSchema, payload as JsonValue),
      source,
      publishTime: timestampFromMs(timeMs),
      sequence: BigInt(sequence),
    },
    dropped: BigInt(dropped),
  };
}

function topicToProto(report: TopicReport): MessageInitShape<typeof TopicStatusSchema> {
  const { declaration, firstSequence, lastSequence, dropped, ...rest } = report;
  return {
    ...rest,
    firstSequence: BigInt(firstSequence),
    lastSequence: BigInt(lastSequence),
    dropped: BigInt(dropped),
    ...(declaration === undefined ? {} : { declaration: declarationToProto(declaration) }),
  };
}

function declarationToProto(
  declaration: NonNullable<TopicReport['declaration']>,
): NonNullable<MessageInitShape<typeof TopicStatusSchema>['declaration']> {
  const { name, description, schema, message, isDurable: durable, maxEvents, maxAgeMs } = declaration;
  const bounds = durable ? { maxEvents, maxAge: durationFromMs(maxAgeMs) } : {};
  return { name, description, message, durable, ...bounds, ...(schema === undefined ? {} : { schema }) };
}
