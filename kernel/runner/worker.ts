import { type MessagePort, workerData } from 'node:worker_threads';
import { isDeclaredError } from '../../sdk/index.ts';
import { EncodingTransport } from '../client.ts';
import { LinkTransport } from '../kernel-link.ts';
import type { Bundle } from '../loader/bundle.ts';
import { Disposer } from '../loader/disposer.ts';
import { createLogger, type LogLevel } from '../logger.ts';
import { PortPeer } from '../port/port-peer.ts';
import { toStatus, type WireStatus } from '../server/status.ts';
import { LocalTarget } from '../target.ts';
import { explainDenial } from './denied-access.ts';
import { LoggedTarget } from './logged-target.ts';
import { PortMetrics } from './port-metrics.ts';
import { PortStorage } from './port-storage.ts';
import { startPlugin } from './start-plugin.ts';

/** What the kernel tells a worker when it makes it. */
export interface WorkerInput {
  readonly token: string;
  /** Built in the kernel's thread, which has a compiler at hand; one for each worker would cost half a second. */
  readonly bundle: Bundle;
  readonly port: MessagePort;
}

/** What a worker tells when its plugin does not start. */
export interface StartFailure {
  readonly message: string;
  /** Set when the plugin or the kernel declared the error. */
  readonly status: WireStatus | undefined;
}

/**
 * Entry of a worker: makes the same plugin code that runs inline serve in a thread of its own, over one port.
 *
 * @remarks It ends itself when it is told to stop, after it has released everything; a thread that is terminated from
 * outside cannot.
 */
async function main(input: WorkerInput): Promise<void> {
  const log = createLogger({ format: 'json' });
  const controller = new AbortController();
  const disposer = new Disposer();
  const target = new LoggedTarget(log);
  const peer = new PortPeer(input.port, {
    side: 'worker',
    target,
    answer: (name, value) => {
      if (name === 'stop') return stop();
      if (name !== 'level') return usedBytes();
      log.level = value as LogLevel;
      return undefined;
    },
  });
  const stop = async (): Promise<void> => {
    controller.abort();
    await disposer.dispose(log);
    // After the answer to this question and the last log lines are on their way.
    setImmediate(() => process.exit(0));
  };
  try {
    const { served, guard, announce } = await startPlugin({
      transport: new EncodingTransport(new LinkTransport(peer, input.token)),
      log,
      disposer,
      signal: controller.signal,
      bundle: async () => input.bundle,
      storage: (directory) => new PortStorage(directory, peer),
      metrics: (manifest, kernel) => new PortMetrics(manifest.id, kernel, peer),
    });
    target.attach(new LocalTarget(served.methods), (error) => explainDenial(error, guard));
    await announce();
    peer.tell('ready', undefined);
  } catch (error) {
    log.error('the plugin did not start', { error });
    const status = isDeclaredError(error) ? toStatus(error, () => '') : undefined;
    peer.tell('failed', { message: (error as Error).message, status } satisfies StartFailure);
  }
}

/** Memory that belongs to this thread: its heap and the buffers it holds, in bytes. */
function usedBytes(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

void main(workerData as WorkerInput);
