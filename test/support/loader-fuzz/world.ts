import type { Manifest } from '../../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { Call } from '../../../kernel/call.ts';
import { Dispatcher } from '../../../kernel/dispatcher.ts';
import { PluginStartFailed, RemoteUnreachable } from '../../../kernel/errors.ts';
import { PluginCodeChanged } from '../../../kernel/loader/errors.ts';
import type { ReadVersion, Version } from '../../../kernel/loader/generation.ts';
import type { Started } from '../../../kernel/loader/inline.ts';
import { PluginHistory } from '../../../kernel/loader/history.ts';
import { Lifecycle } from '../../../kernel/loader/lifecycle.ts';
import { Loader } from '../../../kernel/loader/loader.ts';
import { Routes } from '../../../kernel/loader/routes.ts';
import { createLogger } from '../../../kernel/logger.ts';
import { Router } from '../../../kernel/router.ts';
import { FakeStorage } from '../fake-host.ts';
import { FakeTime } from '../fake-time.ts';
import { Gates } from './gates.ts';
import { FuzzInstance } from './instance.ts';
import { serviceOf } from './plugins.ts';

/** Time a replaced version waits to be called back, in milliseconds. */
export const ROLLBACK_WINDOW_MS = 60_000;

/** Whether, and how, a version fails to start. */
export type StartFailure = 'broken' | 'unreachable';

/** Something that was asked of the loader. */
export interface Operation {
  readonly name: string;
  isDone: boolean;
  error: Error | undefined;
}

/** A call on its way through the kernel. */
export interface FuzzCall {
  readonly call: Call;
  readonly service: string;
  /** Whether nobody provided the service when the call came or ended. */
  isUnprovided: boolean;
  readonly cancel: () => void;
  isCancelled: boolean;
  answer: string | undefined;
  error: unknown;
  isDone: boolean;
}

/** A loader with all that is its own, amid parts that a test controls: instances, time, trust and the folders' contents. */
export class LoaderWorld {
  readonly time: FakeTime;
  readonly gates: Gates = new Gates();
  readonly loader: Loader;
  readonly router: Router = new Router();
  readonly routes: Routes;
  readonly instances: FuzzInstance[] = [];
  readonly operations: Operation[] = [];
  readonly calls: FuzzCall[] = [];
  /** What was seen and must never be. */
  readonly violations: string[] = [];
  /** Failures of starts, by id and version. */
  readonly failures: Map<string, StartFailure> = new Map();
  /** Plugins that may not run. */
  readonly untrusted: Set<string> = new Set();
  /** How often the files of a folder were changed. */
  readonly changes: Map<string, number> = new Map();
  /** Methods that can be called from outside. */
  readonly exposed: Set<string> = new Set();
  /** Plugins that events are kept for. */
  readonly held: Set<string> = new Set();
  readonly #dispatcher: Dispatcher;

  constructor(seed: number) {
    this.time = new FakeTime(seed);
    const log = createLogger({ level: 'silent' });
    const lifecycle = new WatchedLifecycle(
      {
        clock: { now: () => this.time.nowMs },
        log,
        history: new PluginHistory(new FakeStorage('/nowhere'), log),
        onChange: () => undefined,
      },
      this.violations,
    );
    const exposure = {
      expose: (path: string) => void this.exposed.add(path),
      hide: (path: string) => void this.exposed.delete(path),
      mount: () => () => undefined,
    };
    const granted = {
      networkHosts: [],
      filePaths: [],
      secrets: [],
      topics: [],
      services: [],
      httpPrefix: '',
    };
    this.routes = new Routes(this.router, exposure, { granted: () => granted as never });
    this.#dispatcher = new Dispatcher(this.router, []);
    this.loader = new Loader({
      log,
      lifecycle,
      routes: this.routes,
      kernelVersion: '0.1.0',
      rollbackWindowMs: ROLLBACK_WINDOW_MS,
      hasMemoryFor: () => true,
      onSwap: () => undefined,
      events: {
        hold: (id) => void this.held.add(id),
        release: (id) => void this.held.delete(id),
      },
      admit: (manifest) => this.#admit(manifest),
      prepare: (version) => this.#prepare(version),
      start: (version) => this.#start(version),
      preview: () => Promise.reject(new Error('nobody asks for it')),
    });
  }

  /** Asks something of the loader, without waiting for it. */
  ask(name: string, work: () => unknown): Operation {
    const operation: Operation = { name, isDone: false, error: undefined };
    this.operations.push(operation);
    const run = async (): Promise<void> => {
      try {
        await work();
      } catch (error) {
        operation.error = error as Error;
      }
      operation.isDone = true;
    };
    void run();
    return operation;
  }

  call(service: string, request: number, isStream: boolean): FuzzCall {
    let leave: () => void = () => undefined;
    const made: FuzzCall = {
      call: new Call({
        readHeaders: () => new Map(),
        readPeer: () => 'test',
        onCancelled: (listener) => {
          leave = listener;
        },
      }),
      service,
      isUnprovided: !this.router.has(service),
      cancel: () => {
        made.isCancelled = true;
        leave();
      },
      isCancelled: false,
      answer: undefined,
      error: undefined,
      isDone: false,
    };
    this.calls.push(made);
    void this.#dispatch(made, Uint8Array.of(request), isStream);
    return made;
  }

  async #dispatch(made: FuzzCall, request: Uint8Array, isStream: boolean): Promise<void> {
    const path = `/${made.service}/Say`;
    try {
      let answer: Uint8Array | undefined;
      if (isStream) for await (answer of this.#dispatcher.stream(path, streamOf(request), made.call));
      else answer = await this.#dispatcher.unary(path, request, made.call);
      made.answer = new TextDecoder().decode(answer);
    } catch (error) {
      made.error = error;
      made.isUnprovided ||= !this.router.has(made.service);
    }
    made.isDone = true;
  }

  async #admit({ id }: Manifest): Promise<void> {
    await this.gates.pass('admit');
    if (this.untrusted.has(id)) throw new Error('it is not signed');
  }

  async #prepare(version: Version): Promise<ReadVersion> {
    await this.gates.pass('prepare');
    const { manifest, directory, digest } = version;
    const now = `${directory}#${this.changes.get(directory) ?? 0}`;
    // The exclusive one is a program, of which no copies are kept.
    if (digest !== undefined && digest !== now && manifest.exclusive) {
      throw new PluginCodeChanged({ plugin: manifest.id, version: manifest.version, directory });
    }
    return { ...version, code: { digest: digest ?? now, bundle: undefined } };
  }

  async #start({ manifest, code }: ReadVersion): Promise<Started> {
    await this.gates.pass('start');
    const { id, version } = manifest;
    const failure = this.failures.get(`${id}@${version}`);
    if (failure === 'broken') throw new PluginStartFailed({ plugin: id, cause: 'it is broken' });
    if (failure === 'unreachable') {
      throw new RemoteUnreachable({ plugin: id, addresses: 'a:1', obstacle: 'nothing listens' });
    }
    const instance = new FuzzInstance({
      pluginId: id,
      version,
      digest: code.digest,
      beforeStopped: () => this.gates.pass('stop'),
      onCallTooLate: () => this.violations.push(`a call came to ${id}@${version} after it was stopped`),
    });
    this.instances.push(instance);
    return { instance, services: manifest.provides.map(({ service }) => serviceOf(service)) };
  }
}

/** Notices moves that the table does not know, whoever catches the error. */
class WatchedLifecycle extends Lifecycle {
  readonly #violations: string[];

  constructor(parts: ConstructorParameters<typeof Lifecycle>[0], violations: string[]) {
    super(parts);
    this.#violations = violations;
  }

  override move(...[record, event, reason]: Parameters<Lifecycle['move']>): void {
    try {
      super.move(record, event, reason);
    } catch (error) {
      this.#violations.push((error as Error).message);
      throw error;
    }
  }
}

async function* streamOf(request: Uint8Array): AsyncGenerator<Uint8Array> {
  yield request;
}

/** Waits until nothing happens any more by itself: what is left waits for a gate, for time, or for a call to end. */
export async function settle(): Promise<void> {
  for (let idleTurns = 0; idleTurns < 2;) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    idleTurns = process.getActiveResourcesInfo().some((name) => FILE_WORK.has(name)) ? 0 : idleTurns + 1;
  }
}

const FILE_WORK: ReadonlySet<string> = new Set(['FSReqPromise', 'FSReqCallback', 'CloseReq']);
