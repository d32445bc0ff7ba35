import type { JsonObject } from '@bufbuild/protobuf';
import { durationMs } from '@bufbuild/protobuf/wkt';
import type { Topic } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { TopicInvalid } from './errors.ts';

/** What is declared of a topic. */
export interface TopicDeclaration {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of a payload. */
  readonly schema: JsonObject | undefined;
  /** Full name of the message whose JSON form a payload must be; empty for any. */
  readonly message: string;
  readonly isDurable: boolean;
  readonly maxEvents: number;
  readonly maxAgeMs: number;
}

/** What an operator may change of a topic. */
export interface TopicSettings {
  readonly durable?: boolean;
  readonly maxEvents?: number;
  readonly maxAgeMs?: number;
}

/** Topics that only the kernel publishes on. */
export const KERNEL_TOPIC_PREFIX = 'kernel.';

const NAME = /^[a-z][a-z0-9_-]*(?:\.[a-z0-9_-]+)*$/;
const PATTERN = /^(?:[a-z][a-z0-9_.-]*)?\*$/;
const NAME_LIMIT = 200;

/** Enough for a subscriber that was away over a weekend, at a size that any disk has. */
const DEFAULT_EVENTS = 10_000;
const DEFAULT_AGE_MS = 7 * 24 * 3_600_000;

/** Tells whether a text names one topic. */
export function isTopicName(text: string): boolean {
  return text.length <= NAME_LIMIT && NAME.test(text);
}

/** Tells whether a text names topics by their beginning, as `feedback.*` or `*`. */
export function isTopicPattern(text: string): boolean {
  return text.length <= NAME_LIMIT && PATTERN.test(text);
}

/** @throws TOPIC_INVALID */
export function requireTopicName(text: string): void {
  if (!isTopicName(text)) throw new TopicInvalid({ topic: text.slice(0, NAME_LIMIT) });
}

/** Tells whether a name, or a beginning with `*`, takes in a topic or another such beginning. */
export function coversTopic(pattern: string, topic: string): boolean {
  return pattern.endsWith('*') ? topic.startsWith(pattern.slice(0, -1)) : pattern === topic;
}

/** The declaration of a manifest, with the operator's changes. */
export function declarationOf(topic: Topic, settings: TopicSettings = {}): TopicDeclaration {
  const { name, description, schema, message, durable, maxEvents, maxAge } = topic;
  return withSettings(
    {
      name,
      description,
      schema,
      message,
      isDurable: durable,
      maxEvents: maxEvents === 0 ? DEFAULT_EVENTS : maxEvents,
      maxAgeMs: maxAge === undefined ? DEFAULT_AGE_MS : durationMs(maxAge),
    },
    settings,
  );
}

/** A topic of which nothing is declared but what the operator or the kernel says. */
export function plainDeclaration(
  name: string,
  settings: TopicSettings = {},
  description = '',
): TopicDeclaration {
  const plain = { schema: undefined, message: '', isDurable: false };
  const bounds = { maxEvents: DEFAULT_EVENTS, maxAgeMs: DEFAULT_AGE_MS };
  return withSettings({ name, description, ...plain, ...bounds }, settings);
}

function withSettings(declaration: TopicDeclaration, settings: TopicSettings): TopicDeclaration {
  return {
    ...declaration,
    isDurable: settings.durable ?? declaration.isDurable,
    maxEvents: settings.maxEvents ?? declaration.maxEvents,
    maxAgeMs: settings.maxAgeMs ?? declaration.maxAgeMs,
  };
}
