import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import * as grpc from '@grpc/grpc-js';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { AnySchema, FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import {
  EchoService,
  file_echo_v1_echo_service,
} from '../../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import {
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
} from '../../../proto/gen/grpc/reflection/v1/reflection_pb.ts';
import { StatusSchema } from '../../../proto/gen/google/rpc/status_pb.ts';
import { startTestKernel, type TestKernel } from '../../../sdk/testing/index.ts';
import { copyEcho, type EchoPlugin } from '../../support/echo-plugin.ts';
import { type Captured, runLamella, type Surroundings } from '../../support/run-lamella.ts';

const HELLO = Buffer.from('hello').toString('base64');

describe('lamella call', function () {
  this.timeout(30_000);
  let kernel: TestKernel;
  let plugin: EchoPlugin;

  before(async () => {
    plugin = await copyEcho();
    kernel = await startTestKernel({ plugins: [plugin.directory] });
  });

  after(async () => {
    await kernel.stop();
    await plugin.remove();
  });

  function call(words: readonly string[], around?: Surroundings): Promise<Captured> {
    return runLamella(['call', '--address', kernel.addresses.grpc, ...words], around);
  }

  it('lists services and methods', async () => {
    const services = await call(['--list']);
    assert.equal(services.code, 0);
    assert.ok(services.out.split('\n').includes('echo.v1.EchoService'));
    assert.equal(
      (await call(['--list', 'EchoService'])).out,
      ['Say', 'Repeat', 'Join', 'Chat'].map((name) => `echo.v1.EchoService/${name}`).join('\n'),
    );
    const json = JSON.parse((await call(['--list', '--json'])).out) as string[];
    assert.ok(json.includes('echo.v1.EchoService'));
  });

  it('describes services, methods and messages as proto text', async () => {
    const service = await call(['--describe', 'echo.v1.EchoService']);
    assert.match(
      service.out,
      /^service echo\.v1\.EchoService \{\n {2}rpc Say\(echo\.v1\.SayRequest\) returns/,
    );
    assert.match(
      service.out,
      /rpc Chat\(stream echo\.v1\.ChatRequest\) returns \(stream echo\.v1\.ChatResponse\);/,
    );
    const method = await call(['--describe', 'EchoService/Say']);
    assert.match(
      method.out,
      /message echo\.v1\.SayRequest \{\n {2}bytes payload = 1;\n {2}uint32 delay_ms = 2;\n\}/,
    );
    const inner = await call(['--describe', 'lamella.kernel.v1.Plugin']);
    assert.match(inner.out, /repeated lamella\.kernel\.v1\.Provision provides = 6;/);
    const state = await call(['--describe', 'lamella.kernel.v1.PluginState']);
    assert.match(state.out, /^enum lamella\.kernel\.v1\.PluginState \{\n {2}PLUGIN_STATE_UNSPECIFIED = 0;/);
  });

  it('answers a unary call with one line of JSON', async () => {
    const answer = await call(['echo.v1.EchoService/Say', '-d', `{"payload": "${HELLO}"}`]);
    assert.deepEqual(answer, { code: 0, out: `{"payload":"${HELLO}","version":"0.1.0"}`, err: '' });
  });

  it('takes the last part of the service name, a dot before the method, and no data at all', async () => {
    assert.equal((await call(['EchoService/Say'])).out, '{"version":"0.1.0"}');
    assert.equal((await call(['echo.v1.EchoService.Say'])).out, '{"version":"0.1.0"}');
    assert.equal(
      (await call(['EchoService/Say', '--emit-defaults'])).out,
      '{"payload":"","version":"0.1.0"}',
    );
  });

  it('indents for people, and not with --json', async () => {
    const people = { isInteractive: true };
    assert.equal((await call(['EchoService/Say'], people)).out, '{\n  "version": "0.1.0"\n}');
    assert.equal((await call(['EchoService/Say', '--json'], people)).out, '{"version":"0.1.0"}');
  });

  it('prints each answer of a stream on a line', async () => {
    const { out } = await call(['EchoService/Repeat', '-d', `{"payload":"${HELLO}","count":3}`]);
    assert.deepEqual(out.split('\n'), Array(3).fill(`{"payload":"${HELLO}"}`));
  });

  it('sends a stream from a file', async () => {
    const file = path.join(plugin.directory, 'requests.jsonl');
    await writeFile(file, `{"payload":"${HELLO}"}\n{"payload":"${HELLO}"}\n`);
    const { out } = await call(['EchoService/Join', '-d', `@${file}`]);
    assert.equal(out, JSON.stringify({ payload: Buffer.from('hellohello').toString('base64') }));
  });

  it('talks both ways over stdin: each answer comes before the next request is written', async () => {
    const lines: string[] = [];
    let wake: () => void = () => undefined;
    async function* input(): AsyncGenerator<Uint8Array> {
      for (const word of ['one', 'two']) {
        yield Buffer.from(`{"payload":"${Buffer.from(word).toString('base64')}"}\n`);
        while (!lines.some((line) => line.includes(Buffer.from(word).toString('base64')))) {
          await new Promise<void>((resolve) => (wake = resolve));
        }
      }
    }
    const { runProgram } = await import('../../../kernel/cli/program.ts');
    const code = await runProgram(
      ['call', '--address', kernel.addresses.grpc, 'EchoService/Chat', '-d', '-'],
      {
        out: (line) => {
          lines.push(line);
          wake();
        },
        err: (line) => assert.fail(line),
        isInteractive: false,
        environment: {},
        input: input(),
        exit: () => assert.fail(),
      },
    );
    assert.deepEqual([code, lines.length], [0, 2]);
  });

  it('shows code, message and details of an error and exits with 64 and the code', async () => {
    const words = ['lamella.kernel.v1.PluginService/GetPlugin', '-d', '{"id":"no.such"}'];
    const { code, err, out } = await call(words);
    assert.deepEqual([code, out], [64 + grpc.status.NOT_FOUND, '']);
    assert.match(err, /^error: NOT_FOUND: .*no\.such[\s\S]*\n {2}ErrorInfo \{"reason":"PLUGIN_NOT_FOUND"/);
    const json = JSON.parse((await call([...words, '--json'])).err) as {
      code: string;
      details: Record<string, unknown>[];
    };
    assert.equal(json.code, 'NOT_FOUND');
    assert.equal(json.details[0]?.['@type'], 'type.googleapis.com/google.rpc.ErrorInfo');
  });

  it('ends a call at its deadline', async () => {
    const { code, err } = await call(['EchoService/Say', '-d', '{"delayMs":20000}', '--deadline', '100ms']);
    assert.equal(code, 64 + grpc.status.DEADLINE_EXCEEDED);
    assert.match(err, /^error: DEADLINE_EXCEEDED/);
  });

  for (const [words, sentence] of [
    [['EchoService/Say', '-d', '{"paylod":""}'], /no echo\.v1\.SayRequest: .*"paylod"/],
    [['EchoService/Say', '-d', '[1]'], /not a JSON object: '\['/],
    [['EchoService/Say', '-d', '{}{}'], /Say takes one request; the data holds more/],
    [['EchoService/Say', '-d', '@/does/not/exist'], /\/does\/not\/exist cannot be read/],
    [['EchoService/Sa'], /has no method 'Sa'; it has Say, Repeat, Join, Chat\. Did you mean Say\?/],
    [['EchoServic/Say'], /Service 'EchoServic' is not served here/],
    [['EchoService'], /'EchoService' is not SERVICE\/METHOD/],
    [[], /name a method/],
    [['EchoService/Say', '-H', 'nonsense'], /must be name:value/],
    [['EchoService/Say', '--deadline', 'soon'], /must be a time such as 500ms/],
    [['EchoService/Say', '--plaintext', '--tls'], /cannot be used with option '--tls'/],
  ] as const) {
    it(`ends with 2 for 'call ${words.join(' ')}'`, async () => {
      const { code, err } = await call(words);
      assert.equal(code, 2, err);
      assert.match(err, sentence);
    });
  }

  it('ends with 3 when nothing answers', async () => {
    const { code, err } = await runLamella(['call', '--address', '127.0.0.1:1', 'a.B/C']);
    assert.equal(code, 3);
    assert.match(err, /127\.0\.0\.1:1[\s\S]*\[LINK_UNREACHABLE\]/);
  });
});

/** A server that is not ours: reflection v1alpha only, one file an answer, and its own error details. */
function foreignServer(reflects: boolean, seen: string[]): grpc.Server {
  const server = new grpc.Server({ 'grpc.enable_channelz': 0 });
  const identity = (bytes: Buffer): Buffer => bytes;
  const bytes = Buffer.from(toBinary(FileDescriptorProtoSchema, file_echo_v1_echo_service.proto));
  const reflect = (duplex: grpc.ServerDuplexStream<Buffer, Buffer>): void => {
    duplex.on('data', (request: Buffer) => {
      const { messageRequest } = fromBinary(ServerReflectionRequestSchema, request);
      const answer = create(ServerReflectionResponseSchema, {
        messageResponse:
          messageRequest.case === 'listServices'
            ? { case: 'listServicesResponse', value: { service: [{ name: 'echo.v1.EchoService' }] } }
            : { case: 'fileDescriptorResponse', value: { fileDescriptorProto: [bytes] } },
      });
      duplex.write(Buffer.from(toBinary(ServerReflectionResponseSchema, answer)));
    });
    duplex.on('end', () => duplex.end());
  };
  if (reflects) {
    const path = '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo';
    server.register(path, reflect as grpc.UntypedHandleCall as never, identity, identity, 'bidi');
  }
  const say = (request: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>): void => {
    seen.push(String(request.metadata.get('x-key')[0]));
    const metadata = new grpc.Metadata();
    const details = [create(AnySchema, { typeUrl: 'type.example/shop.Refusal', value: Buffer.from('own') })];
    const status = create(StatusSchema, { code: 9, message: 'closed', details });
    metadata.set('grpc-status-details-bin', Buffer.from(toBinary(StatusSchema, status)));
    callback({ code: grpc.status.FAILED_PRECONDITION, details: 'closed', metadata });
  };
  server.register(
    `/${EchoService.typeName}/Say`,
    say as grpc.UntypedHandleCall as never,
    identity,
    identity,
    'unary',
  );
  return server;
}

async function bind(server: grpc.Server, credentials: grpc.ServerCredentials): Promise<string> {
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, port) =>
      error === null ? resolve(`127.0.0.1:${port}`) : reject(error),
    );
  });
}

describe('lamella call with a server that is not ours', function () {
  this.timeout(30_000);

  it('falls back to reflection v1alpha, sends metadata and shows details of unknown types', async () => {
    const seen: string[] = [];
    const server = foreignServer(true, seen);
    try {
      const address = await bind(server, grpc.ServerCredentials.createInsecure());
      const words = ['call', '--address', address, '-H', 'x-key: secret', 'EchoService/Say'];
      const { code, err } = await runLamella(words);
      assert.equal(code, 64 + grpc.status.FAILED_PRECONDITION);
      assert.match(err, /FAILED_PRECONDITION: closed\n {2}Refusal \{"value":"b3du"\}/);
      assert.deepEqual(seen, ['secret']);
    } finally {
      server.forceShutdown();
    }
  });

  it('says so when the server offers no reflection', async () => {
    const server = foreignServer(false, []);
    try {
      const address = await bind(server, grpc.ServerCredentials.createInsecure());
      const { code, err } = await runLamella(['call', '--address', address, '--list']);
      assert.equal(code, 2);
      assert.match(err, /offers no reflection/);
    } finally {
      server.forceShutdown();
    }
  });

  it('connects over TLS and refuses a certificate it does not trust', async function () {
    const directory = await mkdtemp(path.join(tmpdir(), 'lamella-tls-'));
    const [key, certificate] = [path.join(directory, 'key.pem'), path.join(directory, 'cert.pem')];
    const subject = ['-subj', '/CN=echo.test', '-addext', 'subjectAltName=DNS:echo.test'];
    const make = [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '2',
      '-keyout',
      key,
      '-out',
      certificate,
    ];
    const made = await promisify(execFile)('openssl', [...make, ...subject]).catch(() => undefined);
    if (made === undefined) this.skip();
    const pair = { private_key: await readFile(key), cert_chain: await readFile(certificate) };
    const server = foreignServer(true, []);
    try {
      const address = await bind(server, grpc.ServerCredentials.createSsl(null, [pair]));
      const trusting = ['--ca', certificate, '--server-name', 'echo.test'];
      const listed = await runLamella(['call', '--address', address, '--list', ...trusting]);
      assert.deepEqual(listed, { code: 0, out: 'echo.v1.EchoService', err: '' });
      const distrusting = ['--tls', '--server-name', 'echo.test'];
      const refused = await runLamella(['call', '--address', address, '--list', ...distrusting]);
      assert.equal(refused.code, 3);
      assert.match(refused.err, /self-signed\s+certificate/);
      assert.equal((await runLamella(['call', '--address', address, '--list'])).code, 3);
    } finally {
      server.forceShutdown();
      await rm(directory, { recursive: true, force: true });
    }
  });
});
