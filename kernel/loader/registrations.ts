import type { DescService } from '@bufbuild/protobuf';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { Registration } from './process.ts';

/** What the kernel knows of a plugin process that may call back. */
export interface RegisteredProcess {
  readonly manifest: Manifest;
  readonly config: unknown;
  readonly storageDirectory: string;
  /** Full names of the services it may call. */
  readonly callable: ReadonlySet<string>;
  announced: readonly DescService[];
}

/** Services of the kernel itself that every plugin process may call. */
const ALWAYS_CALLABLE = ['lamella.kernel.v1.HostService', 'lamella.kernel.v1.EventService'];

/** Plugin processes by their one-time token. */
export class Registrations {
  readonly #byToken: Map<string, RegisteredProcess> = new Map();

  add(
    token: string,
    process: Pick<RegisteredProcess, 'manifest' | 'config' | 'storageDirectory'>,
  ): Registration {
    const { manifest } = process;
    const record: RegisteredProcess = {
      ...process,
      announced: [],
      callable: new Set([
        ...ALWAYS_CALLABLE,
        ...manifest.requires.map(({ service }) => service),
        ...(manifest.capabilities?.services ?? []),
      ]),
    };
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
