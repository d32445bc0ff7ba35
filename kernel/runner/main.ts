import { createInterface } from 'node:readline';
import { createLogger, LOG_LEVELS } from '../logger.ts';
import { type RunnerEnvironment, runPlugin } from './run-plugin.ts';

/**
 * Entry of a plugin process: makes the same plugin code that runs inline serve on a socket of its own. The kernel
 * starts it and says everything it needs by environment and by HostService.
 */
async function main(): Promise<void> {
  const log = createLogger({ format: 'json' });
  const environment = readEnvironment(process.env);
  const controller = new AbortController();
  const exit = (): void => controller.abort();
  // The kernel holds the other end of stdin: when it goes away, however it died, so do we.
  createInterface({ input: process.stdin }).on('line', (line) => {
    const level = /^\{"logLevel":"(\w+)"\}$/.exec(line)?.[1];
    log.level = LOG_LEVELS.find((known) => known === level) ?? log.level;
  });
  process.stdin.once('end', exit);
  process.stdin.once('error', exit);
  process.once('SIGTERM', exit);
  process.once('SIGINT', exit);
  try {
    await runPlugin(environment, log, controller.signal);
  } catch (error) {
    log.error('the plugin did not start', { error });
    process.exit(1);
  }
  process.exit(0);
}

function readEnvironment(environment: NodeJS.ProcessEnv): RunnerEnvironment {
  const read = (name: string): string => {
    const value = environment[name];
    if (value === undefined || value === '') {
      throw new Error(`${name} is not set; plugin processes are started by the kernel.`);
    }
    return value;
  };
  return {
    directory: read('LAMELLA_PLUGIN_DIRECTORY'),
    socketPath: read('LAMELLA_PLUGIN_SOCKET'),
    kernelSocket: read('LAMELLA_KERNEL_SOCKET'),
    token: read('LAMELLA_PLUGIN_TOKEN'),
    bundlePath: read('LAMELLA_PLUGIN_BUNDLE'),
  };
}

void main();
