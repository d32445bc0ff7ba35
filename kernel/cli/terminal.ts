/** What a command uses of its surroundings, so that tests can give their own. */
export interface Terminal {
  /** Writes one line of the result. */
  readonly out: (line: string) => void;
  /** Writes one line for people who look on, or an error. */
  readonly err: (line: string) => void;
  /** True when a person watches stdout, so that lines may be drawn over. */
  readonly isInteractive: boolean;
  /** Data for the command, such as requests; nothing where it is left out. */
  readonly input?: AsyncIterable<Uint8Array>;
  /** Tells of each key that a person presses until the returned function is called; missing where nobody sits. */
  readonly onKey?: (listener: (key: string) => void) => () => void;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Called with the exit code when a second signal asks to stop at once. */
  readonly exit: (code: number) => void;
}

/** The terminal of this process. */
export function processTerminal(): Terminal {
  // A reader that has gone (`lamella plugin list | head -1`) is not an error of ours.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
  }
  return {
    out: (line) => void process.stdout.write(`${line}\n`),
    err: (line) => void process.stderr.write(`${line}\n`),
    isInteractive: process.stdout.isTTY,
    input: process.stdin,
    ...(process.stdin.isTTY && process.stdout.isTTY ? { onKey: listenToKeys } : {}),
    environment: process.env,
    exit: (code) => process.exit(code),
  };
}

function listenToKeys(listener: (key: string) => void): () => void {
  const { stdin } = process;
  const onData = (bytes: Buffer): void => listener(bytes.toString());
  // Keys one by one, not lines; the terminal must be as it was afterwards.
  stdin.setRawMode(true).on('data', onData).resume();
  return () => {
    stdin.off('data', onData).pause().setRawMode(false);
  };
}
