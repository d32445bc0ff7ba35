import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { DescService } from '@bufbuild/protobuf';
import type { Client, Logger } from '../sdk/index.ts';
import { KERNEL_ID } from './builtin.ts';
import { createClient } from './client.ts';
import { readConfig, type TlsFiles } from './config.ts';
import { createContainer, type KernelParts } from './container.ts';
import { HomeLock } from './home-lock.ts';
import type { Loader } from './loader/loader.ts';
import { LocalTransport } from './local-transport.ts';
import type { LogLevel } from './logger.ts';
import { RunningKernel } from './running-kernel.ts';

/** Options of {@link createKernel}. */
export interface KernelOptions {
  /** Folder for everything the kernel and its plugins keep. */
  readonly home: string;
  /** Address to listen on; loopback by default. Any other needs credentials to be configured. */
  readonly host?: string;
  /** Files for TLS, before those of the configuration. */
  readonly tls?: TlsFiles;
  /** Port of the gRPC listener; 0 takes a free one. */
  readonly grpcPort?: number;
  readonly httpPort?: number;
  readonly metricsPort?: number;
  /** Folders of the plugins to load at start, beside those loaded by an operator before. */
  readonly pluginDirectories?: readonly string[];
  /** Reloads a plugin when its files change. */
  readonly watch?: boolean;
  /** Runs plugins whether they are signed or not, whatever `config.json` says; for those who write them. */
  readonly isDevelopment?: boolean;
  readonly logLevel?: LogLevel;
  /** Environment for plugin processes and secrets; `process.env` by default. */
  readonly environment?: NodeJS.ProcessEnv;
}

/** Where a running kernel listens, each as `host:port`. */
export interface KernelAddresses {
  readonly grpc: string;
  readonly http: string;
  readonly metrics: string;
  /** Whether all of them serve TLS. */
  readonly isTls: boolean;
}

/** A kernel that has not been started; see {@link Kernel.start}. */
export function createKernel(options: KernelOptions): Kernel {
  return new Kernel(options);
}

/** The composition root: builds the parts, starts and stops them. */
export class Kernel {
  readonly #options: KernelOptions;
  readonly #parts: KernelParts;
  #running: RunningKernel | undefined;

  constructor(options: KernelOptions) {
    this.#options = options;
    this.#parts = createContainer(options.logLevel ?? 'info');
  }

  get log(): Logger {
    return this.#parts.log;
  }

  /**
   * Takes the home folder, opens the listeners and loads all plugins.
   *
   * @throws HOME_IN_USE, CONFIG_INVALID, LISTENER_UNPROTECTED, TLS_FILES_INVALID, PORT_IN_USE, PLUGINS_UNRESOLVED; nothing is
   * left running then.
   */
  async start(): Promise<KernelAddresses> {
    const home = path.resolve(this.#options.home);
    const config = await readConfig(home, this.#options.tls);
    const lock = await HomeLock.take(home);
    const runDirectory = await mkdtemp(path.join(tmpdir(), 'lamella-kernel-'));
    const running = new RunningKernel({
      ...this.#parts,
      options: this.#options,
      home,
      config,
      runDirectory,
      lock,
    });
    this.#running = running;
    try {
      return await running.start();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Drains and stops everything; safe to call twice. */
  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await running?.stop();
  }

  /** The loader of a kernel that runs. */
  get plugins(): Loader {
    if (this.#running === undefined) throw new Error('The kernel is not running; call start() first.');
    return this.#running.loader;
  }

  /** Typed client of any service that is loaded, without a connection. */
  call<Service extends DescService>(service: Service): Client<Service> {
    return createClient(service, new LocalTransport(this.#parts.dispatcher, KERNEL_ID));
  }
}
