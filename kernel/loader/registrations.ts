import type { DescService } from '@bufbuild/protobuf';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { Registration } from './process.ts';

/** What the kernel knows of a plugin process that may call back. */
export interface RegisteredProcess {
  /** Its capabilities are those that were granted. */
  readonly manifest: Manifest;
  readonly config: unknown;
  readonly storageDirectory: string;
  announced: readonly DescService[];
}

/** Plugin processes by their one-time token. */
export class Registrations {
  readonly #byToken: Map<string, RegisteredProcess> = new Map();

  add(
    token: string,
    process: Pick<RegisteredProcess, 'manifest' | 'config' | 'storageDirectory'>,
  ): Registration {
    const record: RegisteredProcess = { ...process, announced: [] };
    this.#byToken.set(token, record);
    return {
      announced: () => record.announced,
      revoke: () => {
        this.#byToken.delete(token);
      },
    };
  }

  find(token: string): RegisteredProcess | undefined {
    return this.#byToken.get(token);
  }
}
