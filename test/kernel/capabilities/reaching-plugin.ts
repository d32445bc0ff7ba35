import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { EchoService } from '../../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { isDeclaredError } from '../../../sdk/index.ts';
import type { TestKernel } from '../../../sdk/testing/index.ts';
import { copyEcho, type EchoPlugin, ROOT } from '../../support/echo-plugin.ts';

/** What came of a try. */
export interface Outcome {
  readonly value?: unknown;
  readonly reason?: string;
  readonly message?: string;
}

/** Id of the plugin. */
export const ID: string = 'example.echo';

/** A plugin that tries what it is told, with changes to its manifest. */
export async function reachingPlugin(changes: Readonly<Record<string, unknown>>): Promise<EchoPlugin> {
  const plugin = await copyEcho();
  const text = await readFile(path.join(ROOT, 'test/support/plugins/reaching/plugin.ts'), 'utf8');
  await writeFile(path.join(plugin.directory, 'plugin.ts'), text.replace('../../../../examples/echo/', './'));
  await plugin.setManifest(changes);
  return plugin;
}

/** Lets the plugin try something, and tells what came of it. */
export async function attempt(kernel: TestKernel, command: string): Promise<Outcome> {
  try {
    const { payload } = await kernel.call(EchoService).say({ payload: Buffer.from(command) });
    return JSON.parse(Buffer.from(payload).toString()) as Outcome;
  } catch (error) {
    if (!isDeclaredError(error)) throw error;
    return { reason: error.reason, message: error.message };
  }
}
