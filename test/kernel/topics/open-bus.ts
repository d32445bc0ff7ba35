import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { create } from '@bufbuild/protobuf';
import { TopicSchema } from '../../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { PublishRequestSchema } from '../../../proto/gen/lamella/kernel/v1/event_service_pb.ts';
import { EventBus } from '../../../kernel/events.ts';
import { createLogger } from '../../../kernel/logger.ts';
import { MetricsRegistry } from '../../../kernel/metrics.ts';
import { EventJournal } from '../../../kernel/topics/journal.ts';
import type { EventMessage } from '../../../sdk/index.ts';

/** A signal that never says anything. */
export const never: AbortSignal = new AbortController().signal;

/** Takes so many events and leaves. */
export async function take(events: AsyncIterable<EventMessage>, count: number): Promise<EventMessage[]> {
  const taken: EventMessage[] = [];
  for await (const event of events) {
    taken.push(event);
    if (taken.length === count) break;
  }
  return taken;
}

/** Tells whether an error has a reason. */
export function reason(expected: string): (error: unknown) => boolean {
  return (error) => (error as { reason?: string }).reason === expected;
}

/** A bus with a disk and a clock that the test turns. */
export interface OpenBus {
  readonly bus: EventBus;
  readonly journal: EventJournal;
  readonly metrics: MetricsRegistry;
  declare(topic: Parameters<typeof create<typeof TopicSchema>>[1]): () => void;
  close(): Promise<void>;
}

/** Opens a bus in a folder, as a kernel that starts would. */
export function openBus(home: string, clock: { now(): number }): OpenBus {
  const bus = new EventBus(clock);
  const journal = new EventJournal(path.join(home, 'events'));
  const metrics = new MetricsRegistry();
  bus.open({
    journal,
    metrics: metrics.kernel,
    log: createLogger({ level: 'silent' }),
    settings: {
      'kept.few': { durable: true, maxEvents: 5 },
      'kept.short': { durable: true, maxAgeMs: 1_000 },
    },
    findMessage: (name) => (name === PublishRequestSchema.typeName ? PublishRequestSchema : undefined),
  });
  return {
    bus,
    journal,
    metrics,
    declare: (topic) => bus.topics.declare('test.owner', [create(TopicSchema, topic)]),
    close: () => journal.close(),
  };
}

/** A temporary folder for the events, and how to remove it. */
export async function makeHome(): Promise<{ home: string; remove: () => Promise<void> }> {
  const home = await mkdtemp(path.join(tmpdir(), 'lamella-events-'));
  return { home, remove: () => rm(home, { recursive: true, force: true }) };
}
