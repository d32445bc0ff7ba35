import path from 'node:path';
import type { Command } from 'commander';
import { AccessService } from '../../proto/gen/lamella/kernel/v1/access_service_pb.ts';
import type { Client } from '../../sdk/index.ts';
import { readOwnerFile } from '../access/owner-token.ts';
import { LinkUnreachable } from '../link/errors.ts';
import { type ConnectOptions, findKernel, homeOf, withService } from './connect.ts';
import type { Terminal } from './terminal.ts';

/** Client of AccessService. */
export type AccessClient = Client<typeof AccessService>;

/** Lets a function use the access service of a running kernel, or of its home folder while no kernel runs in it. */
export async function withAccess<Result>(
  command: Command,
  terminal: Terminal,
  use: (access: AccessClient) => Promise<Result>,
): Promise<Result> {
  const options = command.opts<ConnectOptions>();
  const home = path.resolve(homeOf(options, terminal));
  const isElsewhere = options.address !== undefined || terminal.environment['LAMELLA_ADDRESS'] !== undefined;
  if (!isElsewhere && (await readOwnerFile(home)) === undefined) return inHome(home, use);
  const kernel = await findKernel(command, terminal);
  try {
    return await withService(kernel, AccessService, use);
  } catch (error) {
    // The file of a kernel that was killed; a home that is in use says so itself.
    if (isElsewhere || !(error instanceof LinkUnreachable)) throw error;
    return inHome(home, use);
  }
}

async function inHome<Result>(home: string, use: (access: AccessClient) => Promise<Result>): Promise<Result> {
  // Loaded on use: a kernel that runs is asked without the modules of one.
  const { withHome } = await import('./with-home.ts');
  return withHome(home, use);
}
