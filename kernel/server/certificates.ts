import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import type { Logger } from '../../sdk/index.ts';
import type { TlsConfig } from '../access/access-config.ts';
import { TlsFilesInvalid } from '../access/errors.ts';

/** Certificates as both listeners take them. */
export interface TlsContext {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Authorities of client certificates; `undefined` asks for none. */
  readonly ca: Buffer | undefined;
}

/**
 * The certificate of the listeners, read again when its files change.
 *
 * @remarks Files are compared by content, since a mounted secret changes by a link above it. Nothing that does not fit
 * together is ever used: a pair that is read half-way through its replacement, or is wrong, leaves the one before in
 * place. Connections that are open keep theirs.
 */
export class Certificates {
  readonly #config: TlsConfig;
  readonly #log: Logger;
  readonly #contextListeners: Set<(context: TlsContext) => void> = new Set();
  readonly #timer: NodeJS.Timeout;
  #isReading = false;
  #context: TlsContext;
  #lastProblem = '';
  #lastTerm = '';

  private constructor(config: TlsConfig, context: TlsContext, log: Logger) {
    this.#config = config;
    this.#context = context;
    this.#log = log;
    this.#timer = setInterval(() => void this.#reload(), config.reloadMs).unref();
    this.#checkTerm();
  }

  /** @throws TLS_FILES_INVALID */
  static async open(config: TlsConfig, log: Logger): Promise<Certificates> {
    return new Certificates(config, await readContext(config), log);
  }

  /** Whether clients must show a certificate. */
  get asksClients(): boolean {
    return this.#config.clientCa !== undefined;
  }

  get context(): TlsContext {
    return this.#context;
  }

  /** Tells of every later context. */
  onChange(listener: (context: TlsContext) => void): void {
    this.#contextListeners.add(listener);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #reload(): Promise<void> {
    // An older look that ends after a newer one would bring the old certificate back.
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      const next = await readContext(this.#config);
      if (isSame(next, this.#context)) return this.#checkTerm();
      this.#context = next;
      this.#lastProblem = '';
      this.#tell(next);
      this.#log.info('the certificate was replaced', { file: this.#config.cert, ...factsOf(next) });
      this.#checkTerm();
    } catch (error) {
      const { message } = error as Error;
      if (message === this.#lastProblem) return;
      this.#lastProblem = message;
      this.#log.warn('the new certificate cannot be used; the one before stays', { error });
    } finally {
      this.#isReading = false;
    }
  }

  /** Says once that a certificate has ended, will soon, or has not begun: clients refuse it, and say little why. */
  #checkTerm(): void {
    const problem = termProblem(this.#context.cert, Date.now());
    if (problem === this.#lastTerm) return;
    this.#lastTerm = problem;
    if (problem === '') return;
    const advice = 'put a new pair in place; it is taken without a restart';
    this.#log.warn(`the certificate ${problem}`, { file: this.#config.cert, advice });
  }

  #tell(context: TlsContext): void {
    for (const listener of this.#contextListeners) listener(context);
  }
}

/** @throws TLS_FILES_INVALID */
async function readContext({ cert, key, clientCa }: TlsConfig): Promise<TlsContext> {
  try {
    const context: TlsContext = {
      cert: await readFile(cert),
      key: await readFile(key),
      ca: clientCa === undefined ? undefined : await readFile(clientCa),
    };
    createSecureContext(context);
    const certificate = new X509Certificate(context.cert);
    if (!certificate.checkPrivateKey(createPrivateKey(context.key))) {
      throw new Error('the key is not that of the certificate');
    }
    return context;
  } catch (cause) {
    throw new TlsFilesInvalid(
      {
        files: [cert, key, ...(clientCa === undefined ? [] : [clientCa])].join(', '),
        problem: (cause as Error).message,
      },
      { cause },
    );
  }
}

function isSame(one: TlsContext, other: TlsContext): boolean {
  const isSameCa =
    one.ca === undefined || other.ca === undefined ? one.ca === other.ca : one.ca.equals(other.ca);
  return isSameCa && one.cert.equals(other.cert) && one.key.equals(other.key);
}

/** Time before the end of a certificate from which it is a matter for people, in milliseconds. */
const SOON_MS = 14 * 24 * 3_600_000;

/** What is wrong with the term of a certificate, as a phrase behind its name; empty when nothing is. */
export function termProblem(cert: Buffer, nowMs: number): string {
  const { validFrom, validTo } = new X509Certificate(cert);
  if (nowMs > Date.parse(validTo)) return `expired on ${validTo}`;
  if (nowMs < Date.parse(validFrom)) return `is not valid before ${validFrom}`;
  return Date.parse(validTo) - nowMs < SOON_MS ? `expires on ${validTo}` : '';
}

function factsOf({ cert }: TlsContext): { readonly subject: string; readonly validTo: string } {
  const { subject, validTo } = new X509Certificate(cert);
  return { subject, validTo };
}
