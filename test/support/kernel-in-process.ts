import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { startTestKernel, type TestKernel } from '../../sdk/testing/index.ts';

/** What a {@link KernelInProcess} is asked. */
type Request =
  | { readonly ask: 'start'; readonly plugins: readonly string[]; readonly config: Record<string, unknown> }
  | { readonly ask: 'reload' | 'describe'; readonly plugin: string }
  | { readonly ask: 'memory' | 'stop' };

/** The young generation has one size from the start on: that it grows under load would read as a leak. */
const ARGUMENTS = [
  '--expose-gc',
  '--enable-source-maps',
  '--min-semi-space-size=16',
  '--max-semi-space-size=16',
] as const;

/** What a kernel's process has in memory. */
export interface Memory {
  /** Pages of all threads, with what allocators keep for later. */
  readonly residentBytes: number;
  /** What the main thread's code can still reach, in V8's heap and outside it. */
  readonly reachableBytes: number;
}

interface Answer {
  readonly value?: unknown;
  readonly error?: string;
}

/**
 * A test kernel in a process of its own, so that its memory is the kernel's alone: not that of the test's clients, nor
 * what a thousand tests before it have left in the heap.
 */
export class KernelInProcess {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  /** Address of its gRPC listener. */
  address = '';

  private constructor() {
    this.#child = fork(fileURLToPath(import.meta.url), { execArgv: [...ARGUMENTS] });
    this.#exited = once(this.#child, 'exit');
  }

  static async start(plugins: readonly string[], config: Record<string, unknown>): Promise<KernelInProcess> {
    const kernel = new KernelInProcess();
    kernel.address = (await kernel.#ask({ ask: 'start', plugins, config })) as string;
    return kernel;
  }

  async reload(plugin: string): Promise<void> {
    await this.#ask({ ask: 'reload', plugin });
  }

  async describe(plugin: string): Promise<ReturnType<TestKernel['describe']>> {
    return (await this.#ask({ ask: 'describe', plugin })) as ReturnType<TestKernel['describe']>;
  }

  /** Its memory after garbage was collected. */
  async memory(): Promise<Memory> {
    return (await this.#ask({ ask: 'memory' })) as Memory;
  }

  async stop(): Promise<void> {
    await this.#ask({ ask: 'stop' });
    await this.#exited;
  }

  /** One question at a time; the kernel's error, or the end of its process, rejects. */
  async #ask(request: Request): Promise<unknown> {
    const waiting = new AbortController();
    void this.#exited.then(() => waiting.abort(new Error('the process of the kernel ended')));
    this.#child.send(request);
    const [{ value, error }] = (await once(this.#child, 'message', { signal: waiting.signal })) as [Answer];
    if (error !== undefined) throw new Error(error);
    return value;
  }
}

/** Memory after garbage was collected; what finalizers free is gone after a turn of the event loop. */
async function settledMemory(): Promise<Memory> {
  for (let round = 0; round < 3; round += 1) {
    globalThis.gc?.();
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return { residentBytes: rss, reachableBytes: heapUsed + external };
}

async function answer(request: Request): Promise<unknown> {
  switch (request.ask) {
    case 'start':
      kernel = await startTestKernel({ plugins: request.plugins, config: request.config });
      return kernel.addresses.grpc;
    case 'reload':
      return kernel?.reload(request.plugin);
    case 'describe':
      return kernel?.describe(request.plugin);
    case 'memory':
      return settledMemory();
    case 'stop':
      return kernel?.stop();
  }
}

let kernel: TestKernel | undefined;

// As a program of its own: the side that runs the kernel.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.on('message', (request: Request) => {
    const reply = (message: Answer): void => {
      process.send?.(message, () => request.ask === 'stop' && process.disconnect());
    };
    answer(request).then(
      (value) => reply({ value }),
      (error: unknown) => reply({ error: error instanceof Error ? error.message : String(error) }),
    );
  });
}
