/** How a command ends, for scripts that call it. Documented in the help texts. */
export const EXIT = {
  ok: 0,
  /** The command was understood and did not succeed. */
  failure: 1,
  /** Unknown command, option or value. */
  usage: 2,
  /** No kernel answers at the address. */
  unreachable: 3,
  /** `lamella call` adds the number of the gRPC status to this, as grpcurl does. */
  status: 64,
} as const;

/** A command that did not succeed and has shown all there is to say. */
export class CommandFailed extends Error {
  readonly exitCode: number;

  /** @param exitCode - See {@link EXIT}. */
  constructor(exitCode: number = EXIT.failure) {
    super(`the command failed with exit code ${exitCode}`);
    this.exitCode = exitCode;
  }
}

/** Part of the help of every command. */
export const EXIT_HELP = `
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no kernel answers at the address`;
