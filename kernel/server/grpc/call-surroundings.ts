import type { DescMethod } from '@bufbuild/protobuf';
import type { Logger } from '../../../sdk/index.ts';
import type { Target } from '../../target.ts';
import type { Deadlines } from '../../wire/deadlines.ts';
import type { CallQueue } from './call-queue.ts';

/** Which plugin calls, by the token that only plugins send; `undefined` for everybody else. */
export type Identify = (token: string | undefined) => string | undefined;

/** What all calls of a server share. */
export interface CallSurroundings {
  readonly target: Target;
  readonly identify: Identify;
  /** Kind of the method at a path; `undefined` for those of plugins that are on their way up. */
  readonly kindOf: (path: string) => DescMethod['methodKind'] | undefined;
  /** Largest message taken, in bytes. */
  readonly limitBytes: number;
  readonly deadlines: Deadlines;
  /** `undefined` where no call is refused because there are too many: the kernel's own sockets. */
  readonly queue: CallQueue | undefined;
  /** Told of each call that is refused because there are too many. */
  readonly onOverload: () => void;
  readonly log: Logger;
}

/** The connection on which a call comes. */
export interface CallPeer {
  readonly surroundings: CallSurroundings;
  /** Address, `host:port`. */
  readonly address: string;
  /** True while it leaves more unread than it may. */
  readonly isFull: boolean;
  /** Names of the certificate that the client has shown, as Node prints them; `undefined` without one. */
  certificateNames(): string | undefined;
}
