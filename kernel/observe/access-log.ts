import path from 'node:path';
import type { Clock, Logger, Metrics } from '../../sdk/index.ts';
import { KERNEL_ID } from '../builtin.ts';
import type { Call } from '../call.ts';
import { RotatingFile } from '../rotating-file.ts';
import type { Router } from '../router.ts';
import type { HttpExchange } from '../server/http-exchange.ts';
import type { AccessFeed } from './access-feed.ts';
import { type AccessFields, callFields, exchangeFields } from './access-fields.ts';
import type { AccessLogConfig } from './access-log-config.ts';
import { appendToStderr, LineWriter } from './line-writer.ts';

/** Parts of {@link AccessLog}. */
export interface AccessLogParts {
  readonly home: string;
  readonly config: AccessLogConfig;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly router: Router;
  /** Shown every call while somebody watches, whatever the file has. */
  readonly feed: AccessFeed;
}

/** Longest text of one field, in characters: paths and names come from callers. */
const TEXT_LIMIT = 500;

/** First HTTP status that says a request failed. */
const FIRST_HTTP_ERROR = 400;

/** One line for each call that has ended, over gRPC or HTTP. Never throws and never waits. */
export class AccessLog {
  readonly #config: AccessLogConfig;
  readonly #clock: Clock;
  readonly #router: Router;
  readonly #writer: LineWriter;
  readonly #feed: AccessFeed;

  constructor({ home, config, clock, log, metrics, router, feed }: AccessLogParts) {
    this.#feed = feed;
    this.#router = router;
    this.#config = config;
    this.#clock = clock;
    const dropped = metrics.counter({
      name: 'lamella_access_log_dropped_total',
      help: 'Lines that are missing in the access log: `full` when its destination was too slow, `failed` when it took none.',
      labels: ['reason'],
    });
    const file = path.resolve(home, config.file);
    const isFile = config.file !== 'stderr';
    const rotating = new RotatingFile(file, config.fileBytes);
    this.#writer = new LineWriter({
      destination: isFile ? file : 'stderr',
      append: isFile ? (text) => rotating.append(text) : appendToStderr,
      onDropped: (lines, reason) => dropped.add(lines, { reason }),
      log,
    });
  }

  /** Whether there is anything to note of a call that begins. */
  get isOpen(): boolean {
    return this.#config.calls !== 'off' || this.#feed.isWatched;
  }

  /** A call over gRPC, or of one plugin to another, has ended. */
  call(call: Call, method: string, error: unknown): void {
    const served = call.observation?.instance;
    // How a plugin outside the kernel's thread keeps house: log lines, metrics, checks.
    if (call.caller !== undefined && served?.pluginId === KERNEL_ID) return;
    const end = { method, error, nowMs: this.#clock.now(), router: this.#router };
    this.#tell(error !== undefined, () => callFields(call, end));
  }

  /** A request over HTTP has been answered. */
  exchange(exchange: HttpExchange): void {
    this.#tell(exchange.status >= FIRST_HTTP_ERROR, () => exchangeFields(exchange));
  }

  #tell(hasFailed: boolean, fieldsOf: () => AccessFields): void {
    const isKept = this.#isKept(hasFailed);
    if (!isKept && !this.#feed.isWatched) return;
    const fields = fieldsOf();
    const line = JSON.stringify({ time: new Date(this.#clock.now()).toISOString(), ...fields }, shortened);
    const json = printable(line);
    if (isKept) this.#writer.write(`${json}\n`);
    this.#feed.add({ plugin: fields['plugin']?.toString(), hasFailed, json });
  }

  #isKept(hasFailed: boolean): boolean {
    const { calls, sampleRatio } = this.#config;
    if (calls === 'off') return false;
    if (hasFailed) return true;
    return calls === 'all' && (sampleRatio === 1 || Math.random() < sampleRatio);
  }

  /** Writes what waits to be written. */
  async close(): Promise<void> {
    await this.#writer.close();
  }
}

function shortened(_key: string, value: unknown): unknown {
  const isLong = typeof value === 'string' && value.length > TEXT_LIMIT;
  return isLong ? `${value.slice(0, TEXT_LIMIT - 1)}…` : value;
}

/** JSON escapes the control characters of ASCII but two groups that drive terminals and break lines it leaves. */
function printable(json: string): string {
  return json.replace(/[\u007f-\u009f\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
