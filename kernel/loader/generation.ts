import type { DescService } from '@bufbuild/protobuf';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { Code } from './code-store.ts';
import type { Instance, IsolationName } from './instance.ts';
import type { Recalled } from './recall.ts';
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
  readonly instance: Instance;
  /** Descriptors of what the instance serves. */
  readonly services: readonly DescService[];
  /** In milliseconds since the epoch. */
  readonly startedMs: number;
  /** Its way out of service, while it is on it. */
  retirement: Retirement | undefined;
}

/** What is started, and how. */
export interface Version extends Pick<Generation, 'manifest' | 'directory' | 'level'> {
  /** SHA-256 of the code that it has to be; `undefined` takes what the folder holds. */
  readonly digest?: string | undefined;
}

/** A version whose code was read. */
export interface ReadVersion extends Version {
  readonly code: Code;
}

/** Where a plugin lies, and the level of isolation that it was loaded with, if any. */
export interface PluginFolder {
  readonly directory: string;
  readonly level?: IsolationName | undefined;
  /** What an earlier run left behind; it takes the place of what the folder holds. */
  readonly recalled?: Recalled | undefined;
  /** Whether the run before had it: what it needed was unloaded by force then, if it is missing now. */
  readonly wasLoaded?: boolean;
}
