import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { definePlugin, type Host, type Plugin } from 'lamella/sdk';
import { PluginService } from 'lamella/proto/lamella/kernel/v1/plugin_service';
import { EchoService } from '../../../../examples/echo/gen/echo/v1/echo_service_pb.ts';

/** What it is told to try; each reaches for something that only a grant gives. */
const TRIES: Readonly<Record<string, (host: Host, what: string) => unknown>> = {
  secret: ({ secrets }, name) => secrets.get(name),
  publish: async ({ events }, topic) => events.publish(topic, {}),
  subscribe: async ({ events }, topic) => {
    const heard = events.subscribe(topic)[Symbol.asyncIterator]();
    await events.publish(topic, { n: 1 });
    const { value } = (await heard.next()) as { value: { payload: unknown } };
    return value.payload;
  },
  call: async (host) => (await host.call(PluginService).listPlugins({})).plugins.length,
  mount: (host) => host.serveHttp(() => new Response('')),
  fetch: async (host, url) => (await host.fetch(url)).status,
  read: async (_host, file) => readFile(file, 'utf8'),
  write: async (_host, file) => {
    await writeFile(file, 'by the plugin');
    return 'written';
  },
  list: async (_host, folder) => readdir(folder),
  temporary: async () => {
    await writeFile(path.join(await mkdtemp(path.join(tmpdir(), 'own-')), 'file'), '');
    return 'written';
  },
  store: async ({ storage }, value) => {
    await storage.put('key', value);
    return storage.get('key');
  },
  run: async (_host, program) =>
    new Promise((resolve, reject) => {
      spawn(program).once('exit', resolve).once('error', reject);
    }),
  connect: async (_host, port) =>
    new Promise((resolve, reject) => {
      const socket = connect(Number(port), '127.0.0.1', () => {
        socket.destroy();
        resolve('connected');
      });
      socket.once('error', reject);
    }),
  files: async () => {
    const names = await readdir('/proc/self/fd');
    return Promise.all(names.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => '')));
  },
  environment: () => process.env,
};

/** Tries what it is told and answers with what came of it. */
const plugin: Plugin = definePlugin({
  start(host) {
    host.serve(EchoService, {
      say: async ({ payload }) => {
        const [name = '', what = ''] = Buffer.from(payload).toString().split(' ');
        let answer: unknown;
        try {
          answer = { value: await TRIES[name]?.(host, what) };
        } catch (error) {
          // Refused by Node: only the kernel's own error says how it is granted.
          if ((error as { code?: unknown }).code === 'ERR_ACCESS_DENIED') throw error;
          const { reason, message, code } = error as { reason?: string; message: string; code?: unknown };
          answer = { reason: reason ?? code, message };
        }
        return { payload: Buffer.from(JSON.stringify(answer)) };
      },
      repeat: async function* () {},
      join: async () => ({}),
      chat: async function* () {},
    });
  },
});
export default plugin;
