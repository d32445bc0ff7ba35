import type { DescService } from '@bufbuild/protobuf';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { EventGate } from '../topics/event-gate.ts';
import type { Registration } from './process.ts';

/** What the kernel knows of a plugin process that may call back. */
export interface RegisteredProcess {
  /** Its capabilities are those that were granted. */
  readonly manifest: Manifest;
  readonly config: unknown;
  readonly storageDirectory: string;
  /** Closed while the instance is to get no events. */
  readonly events: EventGate;
  announced: readonly DescService[];
  /** Whether it serves HttpService. */
  servesHttp: boolean;
}

/** Plugin processes by their one-time token. */
export class Registrations {
  readonly #byToken: Map<string, RegisteredProcess> = new Map();
  readonly #onRevoked: (process: RegisteredProcess) => void;

  constructor(onRevoked: (process: RegisteredProcess) => void) {
    this.#onRevoked = onRevoked;
  }

  add(
    token: string,
    process: Pick<RegisteredProcess, 'manifest' | 'config' | 'storageDirectory' | 'events'>,
  ): Registration {
    const record: RegisteredProcess = { ...process, announced: [], servesHttp: false };
    this.#byToken.set(token, record);
    return {
      announced: () => record.announced,
      servesHttp: () => record.servesHttp,
      revoke: () => {
        this.#byToken.delete(token);
        this.#onRevoked(record);
      },
    };
  }

  find(token: string): RegisteredProcess | undefined {
    return this.#byToken.get(token);
  }
}
