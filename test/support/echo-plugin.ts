import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Root of the checkout, seen from compiled tests in dist/test/support. */
export const ROOT: string = fileURLToPath(new URL('../../../', import.meta.url));

/** A copy of the echo example that a test may change. */
export interface EchoPlugin {
  readonly directory: string;
  setVersion(version: string): Promise<void>;
  /** Changes the manifest. */
  setManifest(changes: Readonly<Record<string, unknown>>): Promise<void>;
  /** Runs `test/support/plugins/contract/plugin.ts` instead of the example. */
  useContractPlugin(): Promise<void>;
  /** Runs `test/support/plugins/http/plugin.ts` instead, under the prefix `/t`. */
  useHttpPlugin(): Promise<void>;
  /** Runs `test/support/plugins/relay/plugin.ts` instead. */
  useRelayPlugin(): Promise<void>;
  /** Changes service.ts. */
  replaceCode(from: string, to: string): Promise<void>;
  /** Changes plugin.ts. */
  replacePlugin(from: string, to: string): Promise<void>;
  remove(): Promise<void>;
}

/** Copies the echo example into a folder of its own, below the checkout's build so that packages are found. */
export async function copyEcho(): Promise<EchoPlugin> {
  const parent = await mkdtemp(path.join(tmpdir(), 'lamella-echo-'));
  const directory = path.join(parent, 'echo');
  await cp(path.join(ROOT, 'examples/echo'), directory, { recursive: true });
  const edit = async (file: string, change: (text: string) => string): Promise<void> => {
    const target = path.join(directory, file);
    await writeFile(target, change(await readFile(target, 'utf8')));
  };
  const use = async (name: string): Promise<void> => {
    const source = path.join(ROOT, 'test/support/plugins', name, 'plugin.ts');
    const text = await readFile(source, 'utf8');
    await writeFile(path.join(directory, 'plugin.ts'), text.replaceAll('../../../../examples/echo/', './'));
  };
  return {
    directory,
    setVersion: (version) =>
      edit('plugin.json', (text) => text.replace(/"version": "[^"]+"/, `"version": "${version}"`)),
    setManifest: (changes) =>
      edit('plugin.json', (text) =>
        JSON.stringify({ ...(JSON.parse(text) as object), ...changes }, undefined, 2),
      ),
    useContractPlugin: () => use('contract'),
    useRelayPlugin: () => use('relay'),
    useHttpPlugin: async () => {
      await use('http');
      await edit('plugin.json', (text) =>
        text.replace('"provides"', '"capabilities": { "httpPrefix": "/t" },\n  "provides"'),
      );
    },
    replaceCode: (from, to) => edit('service.ts', (text) => text.replace(from, to)),
    replacePlugin: (from, to) => edit('plugin.ts', (text) => text.replace(from, to)),
    remove: () => rm(parent, { recursive: true, force: true }),
  };
}
