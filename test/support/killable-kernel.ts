import assert from 'node:assert/strict';
import { Lamella } from '../cli/lamella-process.ts';
import { runLamella } from './run-lamella.ts';

/** A plugin as `lamella plugin … --json` shows it. */
export interface ShownPlugin {
  readonly id: string;
  readonly version: string;
  readonly state: string;
  readonly isolation: string;
  readonly reason: string;
  readonly restarts: number;
  readonly pid: number | null;
  readonly instances: readonly {
    readonly version: string;
    readonly weight: number;
    readonly state: string;
  }[];
}

/** A kernel in a process of its own, with a home that outlives it. */
export class KillableKernel {
  readonly #home: string;
  readonly #plugins: readonly string[];
  #process: Lamella | undefined;

  constructor(home: string, plugins: readonly string[]) {
    this.#home = home;
    this.#plugins = plugins;
  }

  /** Starts it, or starts it again; resolves when it is ready. */
  async start(): Promise<void> {
    const ports = ['--grpc-port', '0', '--http-port', '0', '--metrics-port', '0'];
    this.#process = new Lamella(['start', '--home', this.#home, ...ports, '--plugins', ...this.#plugins]);
    await this.#process.printed('ready:');
  }

  /** Ends it with SIGKILL: it can write nothing more. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Ends it in order, if it runs. */
  async stop(): Promise<void> {
    if (this.#process !== undefined) await this.#end('SIGTERM');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    running?.process.kill(signal);
    await running?.ended;
  }

  /** Runs `lamella plugin WORDS --json`. */
  async plugin<Answer = ShownPlugin>(...words: readonly string[]): Promise<Answer> {
    const { code, out, err } = await runLamella(['plugin', ...words, '--json', '--home', this.#home]);
    assert.equal(code, 0, err);
    return JSON.parse(out) as Answer;
  }

  /** The plugin now. */
  async show(id: string): Promise<ShownPlugin> {
    const plugins = await this.plugin<ShownPlugin[]>('list');
    const found = plugins.find((plugin) => plugin.id === id);
    assert.ok(found !== undefined, `no ${id} among ${plugins.map((plugin) => plugin.id).join(', ')}`);
    return found;
  }

  /** Resolves with the plugin as soon as it is as wanted; what `plugin list` shows gives no event. */
  async until(id: string, isWanted: (plugin: ShownPlugin) => boolean): Promise<ShownPlugin> {
    for (;;) {
      const plugin = await this.show(id);
      if (isWanted(plugin)) return plugin;
      await new Promise<void>((resolve) => {
        setTimeout(resolve, 20);
      });
    }
  }
}
