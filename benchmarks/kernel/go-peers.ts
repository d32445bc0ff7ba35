import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { type ChildServer, startChildServer } from '../harness/child-server.ts';
import { ROOT } from '../harness/kernel-server.ts';

const run = promisify(execFile);

/** Programs in Go to compare with. One processor each, as a kernel has. */
export class GoPeers {
  readonly #program: string;
  /** Versions of Go and of the libraries. */
  readonly versions: string;

  private constructor(program: string, versions: string) {
    this.#program = program;
    this.versions = versions;
  }

  /** Builds them into the user's cache; the libraries come through the proxy that Go is configured for. @throws when there is no Go. */
  static async build(): Promise<GoPeers> {
    const cwd = path.join(ROOT, 'benchmarks/kernel/peers');
    const cache = path.join(process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache'), 'lamella/bench');
    await mkdir(cache, { recursive: true });
    const program = path.join(cache, 'peers');
    await run('go', ['build', '-o', program, '.'], { cwd });
    const format = '{{.Path}} {{.Version}}';
    const { stdout: modules } = await run(
      'go',
      ['list', '-m', '-f', format, 'google.golang.org/grpc', 'github.com/hashicorp/go-plugin'],
      { cwd },
    );
    const { stdout: version } = await run('go', ['env', 'GOVERSION'], { cwd });
    return new GoPeers(program, [version.trim(), ...modules.trim().split('\n')].join(', '));
  }

  /** An echo on grpc-go. */
  async startEcho(): Promise<ChildServer> {
    return this.#start('echo');
  }

  /** A server that lets a plugin of hashicorp/go-plugin answer. */
  async startHost(): Promise<ChildServer> {
    return this.#start('host');
  }

  async #start(role: string): Promise<ChildServer> {
    return startChildServer((ready) => ['GOMAXPROCS=1', this.#program, role, ready], '/usr/bin/env');
  }

  /** Milliseconds from the start of a plugin process until it has answered a call, for so many starts. */
  async pluginStarts(count: number): Promise<number[]> {
    const { stdout } = await run(this.#program, ['starts', String(count)]);
    return stdout.trim().split('\n').map(Number);
  }
}
