import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** What the load program tells. Times in milliseconds, counted from the moment at which a call was due. */
export interface LoadFigures {
  readonly answered: number;
  /** Calls that were told to come later: RESOURCE_EXHAUSTED, UNAVAILABLE, 429, 503. */
  readonly refused: number;
  readonly failed: number;
  /** Answered calls a second. */
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly refusedP50Ms: number;
  /** User and system time of the server and all below it for a call, refused ones counted, in microseconds. */
  readonly cpuUs: number;
  /** Processors that server, client, and the rest of the machine kept busy. */
  readonly serverCores: number;
  readonly clientCores: number;
  readonly otherCores: number;
  readonly residentMib: number;
  /** What the first call that failed said. */
  readonly error: string;
}

/** Where calls go. */
export interface LoadTarget {
  readonly protocol: 'grpc' | 'http';
  /** `host:port`. */
  readonly address: string;
  readonly path: string;
  /** File with the request. */
  readonly request: string;
}

/** How load is put on a server. */
export interface LoadOptions {
  readonly target: LoadTarget;
  /** Server whose processor time is told. */
  readonly pid: number;
  /** Calls at once in the closed loop. */
  readonly calls?: number;
  /** Calls a second, by a Poisson process; the loop is open then. */
  readonly rate?: number;
  readonly connections?: number;
  readonly warmUpMs?: number;
  readonly durationMs: number;
  /** Time that a caller over gRPC waits, from when its call is due; for ever by default. */
  readonly patienceMs?: number;
}

/** The program that puts load on servers, tied to one core. */
export class LoadClient {
  readonly #program: string;

  constructor(program: string) {
    this.#program = program;
  }

  /** Puts load on a server. @throws Error when it cannot be reached */
  async run(options: LoadOptions): Promise<LoadFigures> {
    const { target, warmUpMs = 700 } = options;
    const flags: Readonly<Record<string, string | number | undefined>> = {
      protocol: target.protocol,
      address: target.address,
      path: target.path,
      request: target.request,
      pid: options.pid,
      calls: options.calls,
      rate: options.rate,
      connections: options.connections,
      patience: options.patienceMs === undefined ? undefined : `${options.patienceMs}ms`,
      'warm-up': `${warmUpMs}ms`,
      duration: `${options.durationMs}ms`,
    };
    const given = Object.entries(flags).flatMap(([name, value]) =>
      value === undefined ? [] : [`-${name}=${value}`],
    );
    const { stdout } = await run('taskset', ['-c', '1', this.#program, ...given], { timeout: 120_000 });
    return JSON.parse(stdout) as LoadFigures;
  }
}
