import { createHmac, randomBytes } from 'node:crypto';
import type { Host, Storage } from 'lamella/sdk';

/** Topic of exposures, declared in the manifest. */
const TOPIC = 'serving.balance.exposures';

const SALT = 'exposure-salt';

/** Exposures that are remembered so as not to be told again. */
const MAX_KNOWN = 100_000;

/** Events on their way to the kernel at once. */
const MAX_PENDING = 256;

/** Who saw what. */
export interface Exposure {
  readonly experiment: string;
  readonly model: string;
  readonly split: string;
  /** Value of the sticky key; only its hash is told. */
  readonly key: string;
}

/** The salt of this installation: without it a hash does not tell whose key it is. */
export async function exposureSalt(storage: Storage): Promise<Uint8Array> {
  const kept = await storage.get<Uint8Array>(SALT);
  if (kept !== undefined) return kept;
  const salt = randomBytes(32);
  await storage.put(SALT, salt);
  return salt;
}

/** Tells once for each key which split of an experiment it was given. */
export class Exposures {
  readonly #host: Host;
  readonly #salt: Uint8Array;
  /** The oldest first. */
  readonly #known: Set<string> = new Set();
  #pending = 0;

  constructor(host: Host, salt: Uint8Array) {
    this.#host = host;
    this.#salt = salt;
  }

  /** Nobody waits for it; what finds no room is told with the key's next request. */
  note({ experiment, model, split, key }: Exposure): void {
    const hash = createHmac('sha256', this.#salt).update(`${experiment}\n${key}`).digest('hex').slice(0, 32);
    const known = `${hash} ${split}`;
    if (this.#known.has(known) || this.#pending >= MAX_PENDING) return;
    this.#remember(known);
    this.#pending += 1;
    this.#host.events
      .publish(TOPIC, { experiment, model, split, key: hash, timeMs: this.#host.clock.now() })
      .catch((error: unknown) => {
        this.#known.delete(known);
        this.#host.log.warn('An exposure could not be told', { experiment, error });
      })
      .finally(() => {
        this.#pending -= 1;
      });
  }

  #remember(known: string): void {
    this.#known.add(known);
    if (this.#known.size <= MAX_KNOWN) return;
    const [oldest = ''] = this.#known;
    this.#known.delete(oldest);
  }
}
