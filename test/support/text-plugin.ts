import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ROOT } from './echo-plugin.ts';

/** A plugin that is a program and `.proto` text: it announces nothing and knows nothing of Lamella but its socket. */
export interface TextPlugin {
  readonly directory: string;
  put(file: string, text: string): Promise<void>;
  read(file: string): Promise<string>;
  setManifest(change: Readonly<Record<string, unknown>>): Promise<void>;
  remove(): Promise<void>;
}

const PROTO = `syntax = "proto3";
package text.v1;
import "google/protobuf/timestamp.proto";
// Shouts.
service ShoutService {
  rpc Shout(ShoutRequest) returns (ShoutResponse);
  rpc Repeat(ShoutRequest) returns (stream ShoutResponse);
}
message ShoutRequest { string text = 1; google.protobuf.Timestamp at = 2; }
message ShoutResponse { string text = 1; }
`;

/** The messages have one string in field 1, so that the program needs no generated code. */
const PROGRAM = `
const fs = require('node:fs');
const grpc = require('@grpc/grpc-js');
const { version } = JSON.parse(fs.readFileSync('plugin.json', 'utf8'));
const raw = (bytes) => bytes;
const method = (path, responseStream) => ({
  path, requestStream: false, responseStream,
  requestSerialize: raw, requestDeserialize: raw, responseSerialize: raw, responseDeserialize: raw,
});
const shout = (request) => {
  const text = Buffer.from(request.subarray(2).toString().toUpperCase());
  return Buffer.concat([Buffer.from([10, text.length]), text]);
};
const server = new grpc.Server();
// The file 'sick-VERSION' makes that version say that it does not serve.
server.addService({ check: method('/grpc.health.v1.Health/Check', false) }, {
  check: (_call, done) => done(null, Buffer.from([8, fs.existsSync('sick-' + version) ? 2 : 1])),
});
server.addService(
  { shout: method('/text.v1.ShoutService/Shout', false), repeat: method('/text.v1.ShoutService/Repeat', true) },
  {
    shout: (call, done) => done(null, shout(call.request)),
    repeat: (call) => { for (let index = 0; index < 3; index += 1) call.write(shout(call.request)); call.end(); },
  },
);
const listen = () => server.bindAsync('unix:' + process.env.LAMELLA_PLUGIN_SOCKET,
  grpc.ServerCredentials.createInsecure(), (error) => { if (error) throw error; });
process.stdin.resume().once('end', () => process.exit(0));
process.once('SIGTERM', () => server.tryShutdown(() => process.exit(0)));
// The file 'wait' holds the start back for as long as it is there.
const begin = () => (fs.existsSync('wait') ? setTimeout(begin, 10) : listen());
begin();
`;

/** Makes the plugin inside the checkout, where its program finds packages. */
export async function makeTextPlugin(): Promise<TextPlugin> {
  const parent = path.join(ROOT, 'dist/test/text-plugins');
  await mkdir(parent, { recursive: true });
  const directory = await mkdtemp(path.join(parent, 'text-'));
  const put = async (file: string, text: string): Promise<void> => {
    await mkdir(path.dirname(path.join(directory, file)), { recursive: true });
    await writeFile(path.join(directory, file), text);
  };
  const setManifest = (change: Readonly<Record<string, unknown>>): Promise<void> =>
    put(
      'plugin.json',
      JSON.stringify({
        id: 'example.shout',
        version: '0.1.0',
        entry: { command: [process.execPath, 'program.cjs'] },
        isolation: { preferred: 'PROCESS' },
        provides: [{ service: 'text.v1.ShoutService' }],
        protos: ['proto/text/v1/shout_service.proto'],
        ...change,
      }),
    );
  await put('proto/text/v1/shout_service.proto', PROTO);
  await put('program.cjs', PROGRAM);
  await setManifest({});
  const read = (file: string): Promise<string> => readFile(path.join(directory, file), 'utf8');
  return { directory, put, read, setManifest, remove: () => rm(directory, { recursive: true, force: true }) };
}
