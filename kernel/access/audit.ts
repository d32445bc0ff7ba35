import path from 'node:path';
import type { Clock, Logger } from '../../sdk/index.ts';
import type { EventBus } from '../events.ts';
import { RotatingFile } from '../rotating-file.ts';

/** Topic of the events. */
export const AUDIT_TOPIC = 'kernel.audit';

/** Something that an operator may have to account for. Secrets are never in it. */
export interface AuditEvent {
  readonly action: 'denied' | 'key-created' | 'key-revoked';
  /** Who asked, for example `anonymous` or `key:ci`. */
  readonly principal: string;
  /** Method, or `http:METHOD /path` without query. */
  readonly operation: string;
  /** The rule that decided, or what it is about. */
  readonly rule: string;
  readonly reason: string;
  /** Address of the caller. */
  readonly peer: string;
}

/** Parts of {@link Audit}. */
export interface AuditParts {
  readonly home: string;
  readonly fileBytes: number;
  readonly events: EventBus;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Lines that wait for the disk; a flood of denials must not fill the memory. */
const QUEUE_LIMIT = 10_000;

/** Longest text of one field. */
const MAX_TEXT = 300;

/** Writes audit events to a file and to a topic. */
export class Audit {
  readonly #parts: AuditParts;
  readonly #file: RotatingFile;
  #queue: string[] = [];
  #droppedCount = 0;
  #isFailing = false;
  #writing: Promise<void> | undefined;

  constructor(parts: AuditParts) {
    this.#parts = parts;
    this.#file = new RotatingFile(path.join(parts.home, 'audit.jsonl'), parts.fileBytes);
  }

  /** Never throws and never waits: it is called on the way to an answer. */
  record(event: AuditEvent): void {
    const { events, clock } = this.#parts;
    const short = Object.fromEntries(Object.entries(event).map(([key, value]) => [key, cut(String(value))]));
    events.publish(AUDIT_TOPIC, short, 'kernel');
    if (this.#queue.length >= QUEUE_LIMIT) {
      this.#droppedCount += 1;
      return;
    }
    this.#queue.push(`${JSON.stringify({ time: new Date(clock.now()).toISOString(), ...short })}\n`);
    this.#writing ??= this.#write();
  }

  async #write(): Promise<void> {
    let taken = 0;
    try {
      while (this.#queue.length > 0) {
        const lines = this.#queue;
        const dropped = this.#droppedCount;
        [this.#queue, this.#droppedCount, taken] = [[], 0, lines.length + dropped];
        if (dropped > 0) lines.push(`${JSON.stringify({ action: 'dropped', count: dropped })}\n`);
        await this.#file.append(lines.join(''));
        this.#isFailing = false;
      }
    } catch (error) {
      this.#droppedCount += taken;
      // Once until it can be written again: on a full disk every refusal would say so.
      if (!this.#isFailing)
        this.#parts.log.error('the audit file cannot be written', { file: this.#file.path, error });
      this.#isFailing = true;
    } finally {
      this.#writing = undefined;
    }
  }

  /** Resolves when everything recorded so far is in the file. */
  async close(): Promise<void> {
    await this.#writing;
  }
}

function cut(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT - 1)}…` : text;
}
