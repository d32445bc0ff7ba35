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

/** A call that was made and failed; what there is to say has been shown. */
export class CallFailed extends Error {
  readonly exitCode: number;

  /** @param code - gRPC status the call ended with. */
  constructor(code: number) {
    super(`the call ended with status ${code}`);
    this.exitCode = EXIT.status + code;
  }
}

/** Part of the help of every command. */
export const EXIT_HELP = `
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no kernel answers at the address`;
