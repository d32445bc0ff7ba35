import { appendFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Clock, Logger } from '../../sdk/index.ts';
import type { EventBus } from '../events.ts';

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

/** Older files kept beside the present one. */
const OLD_FILES = 4;

/** Longest text of one field. */
const MAX_TEXT = 300;

/** Writes audit events to a file and to a topic. */
export class Audit {
  readonly #parts: AuditParts;
  readonly #file: string;
  #queue: string[] = [];
  #droppedCount = 0;
  #writing: Promise<void> | undefined;
  #sizeBytes: number | undefined;

  constructor(parts: AuditParts) {
    this.#parts = parts;
    this.#file = path.join(parts.home, 'audit.jsonl');
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
    try {
      while (this.#queue.length > 0) {
        const lines = this.#queue;
        this.#queue = [];
        if (this.#droppedCount > 0)
          lines.push(`${JSON.stringify({ action: 'dropped', count: this.#droppedCount })}\n`);
        this.#droppedCount = 0;
        await this.#append(lines.join(''));
      }
    } catch (error) {
      this.#sizeBytes = undefined;
      this.#parts.log.error('the audit file cannot be written', { file: this.#file, error });
    } finally {
      this.#writing = undefined;
    }
  }

  async #append(text: string): Promise<void> {
    const { fileBytes } = this.#parts;
    this.#sizeBytes ??= await stat(this.#file).then(
      ({ size }) => size,
      () => 0,
    );
    if (this.#sizeBytes > 0 && this.#sizeBytes + Buffer.byteLength(text) > fileBytes) await this.#rotate();
    await appendFile(this.#file, text, { mode: 0o600 });
    this.#sizeBytes += Buffer.byteLength(text);
  }

  async #rotate(): Promise<void> {
    await rm(this.#old(OLD_FILES), { force: true });
    for (let number = OLD_FILES - 1; number >= 1; number -= 1) {
      await rename(this.#old(number), this.#old(number + 1)).catch(() => undefined);
    }
    await rename(this.#file, this.#old(1));
    this.#sizeBytes = 0;
  }

  #old(number: number): string {
    return this.#file.replace(/\.jsonl$/, `.${number}.jsonl`);
  }

  /** Resolves when everything recorded so far is in the file. */
  async close(): Promise<void> {
    await this.#writing;
  }
}

function cut(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT - 1)}…` : text;
}
