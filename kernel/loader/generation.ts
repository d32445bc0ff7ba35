import type { DescService } from '@bufbuild/protobuf';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { Bundle } from './bundle.ts';
import type { Instance, IsolationName } from './instance.ts';
import type { Retirement } from './retirement.ts';

/** A version of a plugin as it was started: what a swap puts into service and takes out of it. */
export interface Generation {
  /** Counted up from 1 for each plugin. */
  readonly number: number;
  readonly manifest: Manifest;
  /** Folder it was started from. */
  readonly directory: string;
  /** Level of isolation that was asked for when it was loaded; `undefined` means what configuration and manifest say. */
  readonly level: IsolationName | undefined;
  /** Code that was read before; kept of an exclusive plugin, which may have to be started again. */
  readonly bundle?: Bundle | undefined;
  readonly instance: Instance;
  /** Descriptors of what the instance serves. */
  readonly services: readonly DescService[];
  /** In milliseconds since the epoch. */
  readonly startedMs: number;
  /** Its way out of service, while it is on it. */
  retirement: Retirement | undefined;
}

/** What is started, and how. */
export type Version = Pick<Generation, 'manifest' | 'directory' | 'level' | 'bundle'>;

/** Where a plugin lies, and the level of isolation that it was loaded with, if any. */
export interface PluginFolder {
  readonly directory: string;
  readonly level?: IsolationName | undefined;
}
