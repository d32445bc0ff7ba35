import { Code, type ErrorType } from '../../sdk/index.ts';
import { defineKernelError } from '../kernel-error.ts';

/** A topic's name is not one. */
export const TopicInvalid: ErrorType<'topic'> = defineKernelError({
  reason: 'TOPIC_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ topic }) =>
    `'${topic}' is no topic; write words in lower case with dots between them, like 'feedback.recorded', and for a subscription perhaps '*' at the end.`,
});

/** Only the kernel publishes on its own topics. */
export const TopicReserved: ErrorType<'topic'> = defineKernelError({
  reason: 'TOPIC_RESERVED',
  code: Code.PERMISSION_DENIED,
  message: ({ topic }) => `'${topic}' is a topic of the kernel; publish on one of your own.`,
});

/** Two plugins declare one topic. */
export const TopicConflict: ErrorType<'topic' | 'owner'> = defineKernelError({
  reason: 'TOPIC_CONFLICT',
  code: Code.ALREADY_EXISTS,
  message: ({ topic, owner }) =>
    `Topic '${topic}' is already declared by '${owner}'; choose another name, or ask for it under "capabilities.topics".`,
});

/** More topic names are in use than the kernel keeps count of. */
export const TooManyTopics: ErrorType<'limit'> = defineKernelError({
  reason: 'TOO_MANY_TOPICS',
  code: Code.RESOURCE_EXHAUSTED,
  retryAfterMs: 10_000,
  message: ({ limit }) =>
    `${limit} topics are in use, which is the limit; publish on fewer and put what differs into the payload.`,
});

/** More subscriptions are open than the kernel serves. */
export const TooManySubscribers: ErrorType<'limit'> = defineKernelError({
  reason: 'TOO_MANY_SUBSCRIBERS',
  code: Code.RESOURCE_EXHAUSTED,
  retryAfterMs: 1_000,
  message: ({ limit }) =>
    `${limit} subscriptions are open, which is the limit; end some, then subscribe again.`,
});

/** A payload is not what the topic takes. */
export const EventInvalid: ErrorType<'topic' | 'problem'> = defineKernelError({
  reason: 'EVENT_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ topic, problem }) => `The event does not fit topic '${topic}': ${problem}.`,
});

/** A payload is larger than an event may be. */
export const EventTooLarge: ErrorType<'topic' | 'sizeBytes' | 'maxBytes'> = defineKernelError({
  reason: 'EVENT_TOO_LARGE',
  code: Code.RESOURCE_EXHAUSTED,
  message: ({ topic, sizeBytes, maxBytes }) =>
    `The event for topic '${topic}' has ${sizeBytes} bytes, ${maxBytes} are allowed; store the content and publish its name.`,
});

/** A subscription that cannot be made. */
export const SubscriptionInvalid: ErrorType<'problem'> = defineKernelError({
  reason: 'SUBSCRIPTION_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ problem }) => `The subscription cannot be made: ${problem}.`,
});

/** Past events of a topic that keeps none. */
export const TopicNotDurable: ErrorType<'topic'> = defineKernelError({
  reason: 'TOPIC_NOT_DURABLE',
  code: Code.FAILED_PRECONDITION,
  message: ({ topic }) =>
    `Topic '${topic}' keeps no past events; subscribe without a sequence number, or set "topics": { "${topic}": { "durable": true } } in config.json.`,
});

/** A resume from a number that was never given. */
export const SequenceAhead: ErrorType<'topic' | 'sequence' | 'last'> = defineKernelError({
  reason: 'SEQUENCE_AHEAD',
  code: Code.OUT_OF_RANGE,
  message: ({ topic, sequence, last }) =>
    `Event ${sequence} of topic '${topic}' does not exist, the last is ${last}; was the kernel's home replaced? Start again from 1.`,
});
