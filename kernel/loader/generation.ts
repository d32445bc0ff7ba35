import type { DescService } from '@bufbuild/protobuf';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { Instance } from './instance.ts';
import type { Retirement } from './retirement.ts';

/** A version of a plugin as it was started: what a swap puts into service and takes out of it. */
export interface Generation {
  /** Counted up from 1 for each plugin. */
  readonly number: number;
  readonly manifest: Manifest;
  /** Folder it was started from. */
  readonly directory: string;
  readonly instance: Instance;
  /** Descriptors of what the instance serves. */
  readonly services: readonly DescService[];
  /** In milliseconds since the epoch. */
  readonly startedMs: number;
  /** Its way out of service, while it is on it. */
  retirement: Retirement | undefined;
}
