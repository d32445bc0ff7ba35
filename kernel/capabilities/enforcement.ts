import type { IsolationName } from '../loader/instance.ts';

/** What decides how an instance is held to its rights. */
export interface Held {
  readonly isolation: IsolationName;
  /** A program, in whatever language, instead of a module that the kernel's runner runs. */
  readonly isProgram: boolean;
  /** Comes with Lamella and is part of it. */
  readonly isOwn: boolean;
  /** A program that sees no files but its own and granted ones. */
  readonly isHeldToFiles: boolean;
}

const KERNEL = 'the kernel';
const HOST = 'the host object; no boundary';
const NOTHING = 'nothing';

/** What holds an instance to each of its rights, by their names in the manifest; SECURITY.md explains the words. */
export function enforcementOf(held: Held): Readonly<Record<string, string>> {
  const { isolation } = held;
  if (isolation === 'REMOTE')
    return { httpPrefix: KERNEL, services: KERNEL, secrets: KERNEL, topics: KERNEL };
  const isInline = isolation === 'INLINE';
  const byKernel = isInline ? HOST : KERNEL;
  return {
    network: isolation === 'PROCESS' ? 'no network without a granted host; else host.fetch' : HOST,
    files: filesBy(held),
    secrets: byKernel,
    topics: byKernel,
    services: byKernel,
    gpu: isInline ? NOTHING : 'its environment',
    httpPrefix: KERNEL,
    processes: filesBy({ ...held, isHeldToFiles: false }),
  };
}

function filesBy({ isolation, isProgram, isOwn, isHeldToFiles }: Held): string {
  if (isolation !== 'PROCESS') return NOTHING;
  if (isHeldToFiles) return 'its own view of the file system (mount namespace)';
  if (isOwn) return 'nothing; it comes with Lamella';
  return isProgram ? "nothing but the system's own rules" : "Node's permission model";
}
