import type { CallContext, Client, Host } from 'lamella/sdk';
import { isDeclaredError } from 'lamella/sdk';
import { BalancedInferenceService } from 'lamella/proto/lamella/serving/v1/balanced_inference_service';

/** Set on requests that were balanced already: they are for our own models. */
const BALANCED_HEADER = 'lamella-balanced';

const CHANGES_TOPIC = 'serving.balance.changes';

/** Client of who balances. */
export type BalancedClient = Client<typeof BalancedInferenceService>;

/** Headers to send along with a request. */
export type SentHeaders = readonly (readonly [string, string | Uint8Array])[];

/** Names of models whose requests are divided by the plugin `serving.balance`, where it is loaded. */
export class BalancedNames {
  readonly client: BalancedClient;
  readonly #host: Host;
  /** Headers of callers that each model needs. */
  #names: ReadonlyMap<string, readonly string[]> = new Map();
  #isPresent = false;
  #refreshing: Promise<void> | undefined;

  constructor(host: Host) {
    this.#host = host;
    this.client = host.call(BalancedInferenceService);
  }

  /** Whether anybody balances. */
  get isPresent(): boolean {
    return this.#isPresent;
  }

  /** Follows the changes, from what there is now. */
  start(): void {
    const follow = async (): Promise<void> => {
      const changes = this.#host.events.subscribe(CHANGES_TOPIC)[Symbol.asyncIterator]();
      let next = changes.next();
      await this.refresh();
      while ((await next).done !== true) {
        next = changes.next();
        await this.refresh();
      }
    };
    follow().catch((error: unknown) => {
      if (this.#host.signal.aborted) return;
      this.#host.log.warn('Changes of balanced models are no longer followed', { error });
    });
  }

  /** What of a call goes along when its model is balanced; `undefined` when the model is our own. */
  headersFor(model: string, { headers }: CallContext): SentHeaders | undefined {
    if (this.#names.size === 0 || headers.has(BALANCED_HEADER)) return undefined;
    return this.#names.get(model)?.flatMap((name) => {
      const value = headers.get(name);
      return value === undefined ? [] : [[name, value] as const];
    });
  }

  /** Asks once more for a model that we do not have ourselves; the event may be on its way still. */
  async headersForUnknown(model: string, context: CallContext): Promise<SentHeaders | undefined> {
    if (!this.#isPresent) return undefined;
    await (this.#refreshing ??= this.refresh().finally(() => {
      this.#refreshing = undefined;
    }));
    return this.headersFor(model, context);
  }

  /** Asks which models are balanced. What is known stays when nobody can tell at the moment. */
  async refresh(): Promise<void> {
    try {
      const names = new Map<string, readonly string[]>();
      let pageToken = '';
      do {
        const page = await this.client.listBalancedModels({ pageSize: 1_000, pageToken });
        for (const { name, headers } of page.models) names.set(name, headers);
        pageToken = page.nextPageToken;
      } while (pageToken !== '');
      this.#names = names;
      this.#isPresent = true;
    } catch (error) {
      if (!isNobodyThere(error)) return;
      this.#names = new Map();
      this.#isPresent = false;
    }
  }
}

/** Whether an error says that nobody balances. */
export function isNobodyThere(error: unknown): boolean {
  return isDeclaredError(error) && error.reason === 'SERVICE_NOT_FOUND';
}
