import { randomBytes } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { hashSecret, isSecretOf } from './api-key.ts';
import { CredentialsInvalid } from './errors.ts';
import type { Principal } from './principal.ts';

/** Prefix of the token by which the owner of the home proves himself. */
export const OWNER_PREFIX = 'lmo_';

const OWNER: Principal = { kind: 'owner', name: 'owner', grants: ['admin'] };

/** What the command line of the same user needs to reach a running kernel. */
export interface OwnerFile {
  readonly token: string;
  /** The kernel's own socket, in a folder that only this user can enter. */
  readonly socket: string;
  /** Address of the gRPC listener, `host:port`. */
  readonly grpc: string;
}

/**
 * The owner's token: whoever can read the home folder is who runs the kernel.
 *
 * @remarks Made anew at each start, so that one that leaked, for example to a program that took the kernel's port
 * while it was down, is worth nothing afterwards.
 */
export class OwnerToken {
  readonly #token: string = `${OWNER_PREFIX}${randomBytes(32).toString('hex')}`;
  readonly #hash: string = hashSecret(this.#token);
  readonly #file: string;

  constructor(home: string) {
    this.#file = ownerFile(home);
  }

  /** Writes the file, readable by its owner only. */
  async write(where: Omit<OwnerFile, 'token'>): Promise<void> {
    const temporary = `${this.#file}.${process.pid}.tmp`;
    await rm(temporary, { force: true });
    await writeFile(temporary, `${JSON.stringify({ token: this.#token, ...where })}\n`, { mode: 0o600 });
    await rename(temporary, this.#file);
  }

  async remove(): Promise<void> {
    await rm(this.#file, { force: true });
  }

  /** @throws CREDENTIALS_INVALID */
  verify(text: string): Principal {
    if (isSecretOf(text, this.#hash)) return OWNER;
    throw new CredentialsInvalid({
      problem: "the owner's token is of another kernel, or of one that has ended",
    });
  }
}

/** Reads the file of a home; `undefined` without a kernel that runs, or for other users. */
export async function readOwnerFile(home: string): Promise<OwnerFile | undefined> {
  try {
    const file = JSON.parse(await readFile(ownerFile(home), 'utf8')) as Partial<OwnerFile>;
    const { token, socket, grpc } = file;
    if (token === undefined || socket === undefined || grpc === undefined) return undefined;
    return { token, socket, grpc };
  } catch {
    // Not there or not ours: the caller goes on without it.
    return undefined;
  }
}

function ownerFile(home: string): string {
  return path.join(home, 'owner.json');
}
