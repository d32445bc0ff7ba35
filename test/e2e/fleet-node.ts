import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { copyEcho, type EchoPlugin, ROOT } from '../support/echo-plugin.ts';

const MAIN = path.join(ROOT, 'dist', 'bin', 'lamella.js');
const START_TIMEOUT_MS = 120_000;

/** Ports that the system gives to nobody by itself, so that a node which was killed finds its own free again. */
const FIRST_PORT = 20_000;
const PORTS = 12_000;

interface Place {
  readonly folder: string;
  readonly port: number;
}

/** A kernel process of its own with the echo, whose answers carry a version that tells the nodes apart. */
export class FleetNode {
  readonly version: string;
  readonly address: string;
  readonly #plugin: EchoPlugin;
  readonly #folder: string;
  readonly #port: number;
  #process: ChildProcess | undefined;
  #log = '';

  private constructor(version: string, plugin: EchoPlugin, { folder, port }: Place) {
    this.version = version;
    this.address = `127.0.0.1:${port}`;
    this.#port = port;
    this.#plugin = plugin;
    this.#folder = folder;
  }

  /** Starts a node and waits until it serves. */
  static async start(version: string, config: object = {}): Promise<FleetNode> {
    const plugin = await copyEcho();
    await plugin.setVersion(version);
    const folder = await mkdtemp(path.join(tmpdir(), 'lamella-fleet-'));
    await mkdir(path.join(folder, 'home'));
    await writeFile(path.join(folder, 'home', 'config.json'), JSON.stringify(config));
    const node = new FleetNode(version, plugin, { folder, port: await steadyPort() });
    await node.start();
    return node;
  }

  /** Starts it again, at the address it had. */
  async start(): Promise<void> {
    const readyFile = path.join(this.#folder, 'ready.json');
    const ports = ['--grpc-port', String(this.#port), '--http-port', '0', '--metrics-port', '0'];
    const place = ['--home', path.join(this.#folder, 'home'), '--ready-file', readyFile, ...ports];
    const words = [MAIN, 'start', ...place, '--plugins', this.#plugin.directory];
    const child = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'pipe'] });
    child.stderr.on('data', (chunk: Buffer) => {
      this.#log = (this.#log + chunk.toString()).slice(-4_000);
    });
    this.#process = child;
    for (const endMs = Date.now() + START_TIMEOUT_MS; Date.now() < endMs && child.exitCode === null;) {
      if ((await readFile(readyFile, 'utf8').catch(() => '')).includes(`"pid":${child.pid}`)) return;
      await delay(20);
    }
    throw new Error(`The node ${this.version} did not start: ${this.#log}`);
  }

  /** Ends it and returns its exit code; `null` when the signal ended it. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return null;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
    return child.exitCode;
  }

  /** Ends it and removes its files. */
  async remove(): Promise<void> {
    await this.end('SIGKILL');
    await rm(this.#folder, { recursive: true, force: true });
    await this.#plugin.remove();
  }
}

async function steadyPort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + Math.floor(Math.random() * PORTS);
    const server = net.createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!isFree) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}
