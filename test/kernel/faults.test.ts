import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, watch, writeFile } from 'node:fs/promises';
import net from 'node:net';
import http2 from 'node:http2';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { startTestKernel, type TestKernel } from '../../sdk/testing/index.ts';
import { Code, isDeclaredError } from '../../sdk/index.ts';
import { StatusError } from '../../kernel/status-error.ts';
import { EchoService } from '../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { copyEcho, type EchoPlugin, ROOT } from '../support/echo-plugin.ts';

const SAY = '/echo.v1.EchoService/Say';
const identity = (bytes: Buffer): Buffer => bytes;

/** A call by somebody else's client with bytes of our choice. */
function rawCall(
  address: string,
  bytes: Buffer,
  options: { deadlineMs?: number } = {},
): Promise<Buffer | grpc.ServiceError> {
  const client = new grpc.Client(address, grpc.credentials.createInsecure(), {
    'grpc.max_send_message_length': -1,
    'grpc.max_receive_message_length': -1,
  });
  return new Promise((resolve) => {
    const deadline = options.deadlineMs === undefined ? {} : { deadline: Date.now() + options.deadlineMs };
    client.makeUnaryRequest(
      SAY,
      identity,
      identity,
      bytes,
      new grpc.Metadata(),
      deadline,
      (error, answer) => {
        client.close();
        resolve(error ?? answer ?? Buffer.alloc(0));
      },
    );
  });
}

describe('a kernel that is fed broken input', function () {
  this.timeout(30_000);
  let kernel: TestKernel;
  let plugin: EchoPlugin;

  before(async () => {
    plugin = await copyEcho();
    kernel = await startTestKernel({ plugins: [plugin.directory] });
  });

  afterEach('it still serves', async () => {
    const answer = await rawCall(kernel.addresses.grpc, Buffer.from([0x0a, 1, 65]));
    assert.ok(Buffer.isBuffer(answer));
  });

  after(async () => {
    await kernel.stop();
    await plugin.remove();
  });

  it('refuses a truncated message with INVALID_ARGUMENT', async () => {
    const answer = await rawCall(kernel.addresses.grpc, Buffer.from([0x0a, 100, 1]));
    assert.ok(answer instanceof Error);
    assert.equal(answer.code, grpc.status.INVALID_ARGUMENT);
    assert.match(answer.details, /not a valid echo\.v1\.SayRequest/);
  });

  it('refuses a message of 100 MB with RESOURCE_EXHAUSTED', async () => {
    const answer = await rawCall(kernel.addresses.grpc, Buffer.alloc(100_000_000));
    assert.ok(answer instanceof Error);
    assert.equal(answer.code, grpc.status.RESOURCE_EXHAUSTED);
  });

  it('serves a call with a deadline of 700 hours', async () => {
    const session = http2.connect(`http://${kernel.addresses.grpc}`);
    const stream = session.request({
      ':method': 'POST',
      ':path': SAY,
      'content-type': 'application/grpc',
      te: 'trailers',
      'grpc-timeout': '700H',
    });
    stream.end(Buffer.from([0, 0, 0, 0, 0]));
    stream.resume();
    const [trailers] = (await once(stream, 'trailers')) as [Record<string, string>];
    session.close();
    assert.equal(trailers['grpc-status'], '0');
  });

  it('answers an unknown method with UNIMPLEMENTED', async () => {
    const client = new grpc.Client(kernel.addresses.grpc, grpc.credentials.createInsecure());
    const code = await new Promise((resolve) => {
      client.makeUnaryRequest('/no.Such/Method', identity, identity, Buffer.alloc(0), (error) =>
        resolve(error?.code),
      );
    });
    client.close();
    assert.equal(code, grpc.status.UNIMPLEMENTED);
  });

  it('is not disturbed by a connection that sends garbage', async () => {
    const [host = '', port = ''] = kernel.addresses.grpc.split(':');
    const socket = net.connect(Number(port), host);
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    await new Promise<void>((resolve) => {
      socket.write(Buffer.alloc(4096, 0xff), () => resolve());
    });
    socket.destroy();
  });

  it('refuses a folder without a manifest, a broken manifest and missing dependencies, and says what is wrong', async () => {
    await assert.rejects(kernel.load(tmpdir()), /there is no such file/);
    const other = await copyEcho();
    const file = path.join(other.directory, 'plugin.json');
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.slice(0, 40));
    await assert.rejects(kernel.load(other.directory), /not a valid plugin manifest/);
    const manifest = JSON.parse(text) as Record<string, unknown>;
    const lonely = {
      ...manifest,
      id: 'example.lonely',
      provides: [],
      requires: [{ service: 'no.such.v1.Service' }],
    };
    await writeFile(file, JSON.stringify(lonely));
    await assert.rejects(kernel.load(other.directory), /example\.lonely.*no\.such\.v1\.Service/s);
    await other.remove();
  });
});

describe('a plugin process that is killed', function () {
  this.timeout(30_000);

  it('fails only the calls in flight, with UNAVAILABLE and a pushback, and is back within a second', async () => {
    const plugin = await copyEcho();
    const config = { plugins: { 'example.echo': { isolation: 'PROCESS' } } };
    const kernel = await startTestKernel({ plugins: [plugin.directory], config });
    const client = kernel.call(EchoService);
    const running = client.say({ delayMs: 20_000 });
    const failure = running.then(
      () => assert.fail('the call should have failed'),
      (error: unknown) => error,
    );
    // The call is in the plugin when a later one on the same link has been answered.
    await client.say({ payload: Buffer.from('x') });
    const { pid = 0 } = kernel.describe('example.echo');
    const killedMs = Date.now();
    process.kill(pid, 'SIGKILL');
    const error = await failure;
    const code = isDeclaredError(error) || error instanceof StatusError ? error.code : undefined;
    assert.equal(code, Code.UNAVAILABLE, String(error));
    assert.ok(isDeclaredError(error) && (error.retryAfterMs ?? 0) > 0, 'no pushback');
    const { version } = await client.say({ payload: Buffer.from('x') });
    const backMs = Date.now() - killedMs;
    assert.equal(version, '0.1.0');
    process.stdout.write(`      back after ${backMs} ms\n`);
    assert.equal(kernel.describe('example.echo').restarts, 1);
    await kernel.stop();
    await plugin.remove();
  });
});

describe('a kernel that is killed', function () {
  this.timeout(60_000);

  it('leaves no plugin process, and its home can be used again with what was loaded', async () => {
    const home = await mkdtemp(path.join(tmpdir(), 'lamella-killed-'));
    const plugin = await copyEcho();
    await writeFile(
      path.join(home, 'config.json'),
      JSON.stringify({ plugins: { 'example.echo': { isolation: 'PROCESS' } } }),
    );
    const ready = path.join(home, 'ready.json');
    const child = spawn(
      process.execPath,
      [
        path.join(ROOT, 'dist/bin/lamella.js'),
        'start',
        '--home',
        home,
        '--plugins',
        plugin.directory,
        '--grpc-port',
        '0',
        '--http-port',
        '0',
        '--metrics-port',
        '0',
        '--ready-file',
        ready,
      ],
      { stdio: 'ignore' },
    );
    await appears(ready);
    const { grpc: address } = JSON.parse(await readFile(ready, 'utf8')) as { grpc: string };
    assert.ok(Buffer.isBuffer(await rawCall(address, Buffer.alloc(0))));
    const before = await childrenOf(child.pid ?? 0);
    assert.ok(before.length > 0, 'the plugin should have a process');
    child.kill('SIGKILL');
    await once(child, 'exit');
    await Promise.all(before.map((pid) => gone(pid)));
    const kernel = await startTestKernel({ plugins: [plugin.directory], home });
    const { version } = await kernel.call(EchoService).say({});
    assert.equal(version, '0.1.0');
    await kernel.stop();
    await plugin.remove();
    await rm(home, { recursive: true, force: true });
  });
});

async function appears(file: string): Promise<void> {
  for await (const { filename } of watch(path.dirname(file))) {
    if (filename === path.basename(file)) return;
  }
}

async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.trim().split(' ').filter(Boolean).map(Number);
}

/** Resolves when a process that is not ours has ended, which gives no event; fails after 20 seconds. */
async function gone(pid: number): Promise<void> {
  const limitMs = Date.now() + 20_000;
  while (Date.now() < limitMs) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await new Promise<void>((resolve) => {
      setTimeout(resolve, 20);
    });
  }
  assert.fail(`process ${pid} is still there after 20 s`);
}
