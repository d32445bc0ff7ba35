import { type DescMessage, fromJson, type JsonValue } from '@bufbuild/protobuf';
import { Ajv } from 'ajv';
import { EventInvalid, EventTooLarge } from './errors.ts';
import type { TopicDeclaration } from './topic.ts';

/** Largest payload, in bytes of JSON: events tell that something happened, content goes through services. */
const MAX_BYTES = 1 << 20;

/** Deepest nesting, as protobuf allows. */
const MAX_DEPTH = 100;

/** A payload as it is handed out. */
export interface TakenPayload {
  /** A frozen copy: subscribers share it and nobody can change it for the others. */
  readonly payload: JsonValue;
  readonly sizeBytes: number;
}

/** Copies a payload by way of JSON, so that it is the same at every isolation level. @throws EVENT_INVALID, EVENT_TOO_LARGE */
export function takePayload(topic: string, value: unknown): TakenPayload {
  const text = textOf(topic, value ?? null);
  const sizeBytes = Buffer.byteLength(text);
  if (sizeBytes > MAX_BYTES) {
    throw new EventTooLarge({ topic, sizeBytes: String(sizeBytes), maxBytes: String(MAX_BYTES) });
  }
  const payload = JSON.parse(text) as JsonValue;
  freeze(topic, payload, 0);
  return { payload, sizeBytes };
}

function textOf(topic: string, value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value) as string | undefined;
  } catch (cause) {
    throw new EventInvalid({ topic, problem: `it is not JSON (${(cause as Error).message})` }, { cause });
  }
  if (text === undefined) throw new EventInvalid({ topic, problem: 'it is not JSON' });
  return text;
}

function freeze(topic: string, value: JsonValue, depth: number): void {
  if (typeof value !== 'object' || value === null) return;
  if (depth === MAX_DEPTH)
    throw new EventInvalid({ topic, problem: `it is nested deeper than ${MAX_DEPTH}` });
  for (const child of Object.values(value)) freeze(topic, child as JsonValue, depth + 1);
  Object.freeze(value);
}

/** Finds the descriptor of a message by its full name, among those of the services that are loaded. */
export type FindMessage = (name: string) => DescMessage | undefined;

/** Throws EVENT_INVALID for a payload that is not what the topic declares. */
export type PayloadCheck = (payload: JsonValue) => void;

/** The check of one topic; a schema is compiled once. */
export function payloadCheck(declaration: TopicDeclaration, findMessage: FindMessage): PayloadCheck {
  const { name: topic, schema, message } = declaration;
  if (message !== '') return (payload) => checkMessage({ topic, message, payload }, findMessage(message));
  if (schema === undefined) return () => undefined;
  const validate = new Ajv({ strict: false }).compile(schema);
  return (payload) => {
    if (validate(payload)) return;
    const [error] = validate.errors ?? [];
    const place = error?.instancePath === '' ? 'it' : (error?.instancePath ?? 'it');
    throw new EventInvalid({ topic, problem: `${place} ${error?.message ?? 'does not match the schema'}` });
  };
}

interface Typed {
  readonly topic: string;
  readonly message: string;
  readonly payload: JsonValue;
}

function checkMessage({ topic, message, payload }: Typed, descriptor: DescMessage | undefined): void {
  if (descriptor === undefined) {
    const problem = `it must be a ${message}, which is in the files of no service that is loaded`;
    throw new EventInvalid({ topic, problem });
  }
  try {
    fromJson(descriptor, payload);
  } catch (cause) {
    throw new EventInvalid(
      { topic, problem: `it is no ${message} (${(cause as Error).message})` },
      { cause },
    );
  }
}
