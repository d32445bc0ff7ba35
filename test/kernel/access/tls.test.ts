import assert from 'node:assert/strict';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { type ClientRequestArgs } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { connect as netConnect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { connect, type PeerCertificate } from 'node:tls';
import { toBinary } from '@bufbuild/protobuf';
import * as grpc from '@grpc/grpc-js';
import { SayRequestSchema } from '../../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { create } from '@bufbuild/protobuf';
import { startTestKernel, type TestKernel } from '../../../sdk/testing/index.ts';
import { homeChecks } from '../../../kernel/cli/doctor/home-checks.ts';
import { createLogger } from '../../../kernel/logger.ts';
import { Certificates } from '../../../kernel/server/certificates.ts';
import { Authority } from '../../support/authority.ts';
import { ROOT } from '../../support/echo-plugin.ts';
import { needTool } from '../../e2e/tool.ts';

const SERVER_NAMES = 'DNS:localhost,IP:127.0.0.1';
const SAY = '/echo.v1.EchoService/Say';

describe('TLS', function () {
  this.timeout(60_000);
  let folder = '';
  let authority: Authority;
  let kernel: TestKernel | undefined;
  const clients: grpc.Client[] = [];

  before(async function () {
    await needTool(this, 'openssl', () => Authority.check());
    folder = await mkdtemp(path.join(tmpdir(), 'lamella-tls-'));
    authority = new Authority(folder);
    await authority.makeAuthority('ca');
    await authority.makeAuthority('other');
    await authority.issue('first', 'ca', SERVER_NAMES);
    await authority.issue('second', 'ca', SERVER_NAMES);
    await authority.issue('web', 'ca', 'URI:spiffe://example.org/ns/prod/sa/web');
    await authority.issue(
      'double',
      'ca',
      'URI:spiffe://example.org/ns/prod/sa/web,URI:spiffe://example.org/other',
    );
    await authority.issue('foreign', 'ca', 'URI:spiffe://elsewhere.org/ns/prod/sa/web');
    await authority.issue('stranger', 'other', 'URI:spiffe://example.org/ns/prod/sa/web');
  });

  beforeEach(() => install('first'));

  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    await kernel?.stop();
    kernel = undefined;
  });

  after(() => rm(folder, { recursive: true, force: true }));

  /** Puts a pair where the kernel reads it, key first, as a rotation does. */
  async function install(name: string): Promise<void> {
    for (const end of ['key', 'pem']) {
      await writeFile(authority.file(`new.${end}`), await authority.read(`${name}.${end}`));
      await rename(authority.file(`new.${end}`), authority.file(`server.${end}`));
    }
  }

  async function start(
    tls: Readonly<Record<string, unknown>> = {},
    access: Readonly<Record<string, unknown>> = {},
  ): Promise<TestKernel> {
    const files = { cert: authority.file('server.pem'), key: authority.file('server.key') };
    kernel = await startTestKernel({
      plugins: [path.join(ROOT, 'examples/echo')],
      config: {
        tls: { ...files, reloadMs: 20, ...tls },
        access,
        plugins: { 'example.echo': { isolation: 'PROCESS' } },
      },
    });
    return kernel;
  }

  async function client(running: TestKernel, as?: string): Promise<grpc.Client> {
    const [ca, key, cert] = [
      await authority.read('ca.pem'),
      as === undefined ? null : await authority.read(`${as}.key`),
      as === undefined ? null : await authority.read(`${as}.pem`),
    ];
    // Every client its own connection: grpc-js shares them between equal ones otherwise.
    const options = { 'grpc.use_local_subchannel_pool': 1 };
    const made = new grpc.Client(running.addresses.grpc, grpc.credentials.createSsl(ca, key, cert), options);
    clients.push(made);
    return made;
  }

  async function say(by: grpc.Client): Promise<number> {
    return (await answerOf(by))?.code ?? grpc.status.OK;
  }

  /** The error of a call, if it has one. */
  async function answerOf(by: grpc.Client): Promise<grpc.ServiceError | null> {
    const request = Buffer.from(toBinary(SayRequestSchema, create(SayRequestSchema, {})));
    const same = (bytes: Buffer): Buffer => bytes;
    return new Promise((resolve) => {
      const deadline = Date.now() + 20_000;
      by.makeUnaryRequest(SAY, same, same, request, new grpc.Metadata(), { deadline }, (error) => {
        resolve(error);
      });
    });
  }

  async function get(address: string, options: RequestOptions = {}): Promise<number> {
    const [host = '', port = ''] = address.split(':');
    const ca = await authority.read('ca.pem');
    return new Promise((resolve, reject) => {
      const common: ClientRequestArgs & RequestOptions = { host, port, path: '/metrics', ca, agent: false };
      httpsRequest({ ...common, ...options }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      })
        .on('error', reject)
        .end();
    });
  }

  /** Common name of the certificate that a listener shows now. */
  async function shown(address: string): Promise<string> {
    const [host = '', port = ''] = address.split(':');
    const ca = await authority.read('ca.pem');
    return new Promise((resolve, reject) => {
      const socket = connect(
        { host, port: Number(port), ca, servername: 'localhost', ALPNProtocols: ['h2', 'http/1.1'] },
        () => {
          const { subject } = socket.getPeerCertificate() as PeerCertificate;
          resolve(String(subject.CN));
          socket.destroy();
        },
      );
      socket.on('error', reject);
    });
  }

  it('serves all three listeners, and plain text on none', async () => {
    const running = await start();
    assert.equal(await say(await client(running)), grpc.status.OK);
    assert.equal(await get(running.addresses.http), 404);
    assert.equal(await get(running.addresses.metrics), 200);
    for (const address of [running.addresses.http, running.addresses.metrics]) {
      await assert.rejects(fetch(`http://${address}/metrics`));
    }
    const insecure = new grpc.Client(running.addresses.grpc, grpc.credentials.createInsecure());
    clients.push(insecure);
    assert.equal(await say(insecure), grpc.status.UNAVAILABLE);
  });

  it('still reaches its plugin processes over their own sockets', async () => {
    const running = await start();
    assert.notEqual(running.describe('example.echo').pid, process.pid);
    await running.reload('example.echo');
    assert.equal(await say(await client(running)), grpc.status.OK);
  });

  it('knows peers by the one SPIFFE id of a certificate of its authorities', async () => {
    const peers = { 'spiffe://example.org/ns/prod/*': ['user', 'http:GET /metrics'] };
    const running = await start({ clientCa: authority.file('ca.pem') }, { anonymous: 'none', peers });
    assert.equal(await say(await client(running, 'web')), grpc.status.OK);
    for (const nobody of ['double', 'foreign']) {
      assert.equal(await say(await client(running, nobody)), grpc.status.UNAUTHENTICATED, nobody);
    }
    for (const refused of ['stranger', undefined]) {
      assert.equal(await say(await client(running, refused)), grpc.status.UNAVAILABLE, refused);
    }
    const as = async (name: string): Promise<RequestOptions> => ({
      key: await authority.read(`${name}.key`),
      cert: await authority.read(`${name}.pem`),
    });
    assert.equal(await get(running.addresses.metrics, await as('web')), 200);
    assert.equal(await get(running.addresses.metrics, await as('double')), 401);
    await assert.rejects(get(running.addresses.metrics, await as('stranger')));
    await assert.rejects(get(running.addresses.metrics));
  });

  it('rotates its certificate under load without a failed call', async () => {
    const running = await start();
    let isOver = false;
    let answers = 0;
    const failures: string[] = [];
    const count = (error: grpc.ServiceError | null): void => {
      answers += 1;
      if (error !== null) failures.push(error.message);
    };
    const open = await client(running);
    const steady = async (): Promise<void> => {
      while (!isOver) count(await answerOf(open));
    };
    const fresh = async (): Promise<void> => {
      while (!isOver) {
        const one = await client(running);
        count(await answerOf(one));
        one.close();
      }
    };
    const callers = Promise.all([steady(), steady(), fresh(), fresh()]);
    const { grpc: grpcAddress, http, metrics } = running.addresses;
    for (const name of ['second', 'first', 'second', 'first', 'second']) {
      await install(name);
      for (const address of [grpcAddress, http, metrics]) {
        for (;;) if ((await shown(address)).startsWith(name)) break;
      }
    }
    isOver = true;
    await callers;
    assert.deepEqual(failures, []);
    assert.ok(answers > 20);
  });

  it('keeps the certificate it has while the files do not fit together', async () => {
    const running = await start();
    await writeFile(authority.file('server.pem'), await authority.read('second.pem'));
    const later = async (): Promise<void> => {
      // Several looks at the files later: each connection takes longer than one.
      for (let looks = 0; looks < 20; looks += 1) assert.match(await shown(running.addresses.grpc), /^first/);
    };
    await later();
    await writeFile(authority.file('server.pem'), 'not a certificate');
    await later();
    await install('second');
    for (;;) if ((await shown(running.addresses.grpc)).startsWith('second')) break;
    for (;;) if ((await shown(running.addresses.http)).startsWith('second')) break;
  });

  it('says of a certificate that it has expired, or will soon, and takes the next one', async () => {
    const names = { by: 'ca', subjectAltName: SERVER_NAMES };
    await authority.issueFor({ name: 'over', ...names, days: -1 });
    await authority.issueFor({ name: 'ending', ...names, days: 2 });
    const lines: string[] = [];
    const log = createLogger({ format: 'json', write: (line) => lines.push(line) });
    const told = async (what: RegExp): Promise<void> => {
      while (!what.test(lines.join(''))) await new Promise(setImmediate);
    };
    await install('over');
    const files = { cert: authority.file('server.pem'), key: authority.file('server.key'), reloadMs: 20 };
    const certificates = await Certificates.open(files, log);
    await told(/server\.pem.*the certificate expired on /);
    await install('ending');
    await told(/the certificate expires on /);
    await install('first');
    await told(/CN=first.*the certificate was replaced/);
    certificates.close();
    assert.equal(lines.filter((line) => line.includes('the certificate expire')).length, 2);
    const home = await mkdtemp(path.join(folder, 'home-'));
    for (const [name, verdict] of [
      ['over', 'failed'],
      ['ending', 'warning'],
      ['first', 'ok'],
      ['missing', 'failed'],
    ] as const) {
      const tls = { cert: authority.file(`${name}.pem`), key: authority.file(`${name}.key`) };
      await writeFile(path.join(home, 'config.json'), JSON.stringify({ tls }));
      const check = (await homeChecks(home)).find((one) => one.name === 'tls.cert');
      assert.equal(check?.verdict, verdict, name);
      assert.match(check?.detail ?? '', new RegExp(`${name}\\.pem`));
    }
  });

  it('does not start with files that cannot be used', async () => {
    await assert.rejects(start({ cert: authority.file('missing.pem') }), { reason: 'TLS_FILES_INVALID' });
    await assert.rejects(start({ key: authority.file('second.key') }), { reason: 'TLS_FILES_INVALID' });
  });

  it('survives clients that begin a handshake and go, or talk nonsense', async () => {
    const running = await start();
    for (const address of [running.addresses.grpc, running.addresses.http]) {
      const [host = '', port = ''] = address.split(':');
      for (const bytes of [
        '',
        'GET / HTTP/1.1\r\n\r\n',
        '\u0016\u0003\u0001\u0000',
        '\u0016\u0003\u0001\u0001\u0000'.repeat(50),
      ]) {
        await new Promise<void>((resolve) => {
          const socket = netConnect(Number(port), host, () => socket.end(bytes, 'latin1'));
          socket.resume();
          socket.on('error', () => undefined);
          socket.on('close', () => resolve());
        });
      }
    }
    assert.equal(await say(await client(running)), grpc.status.OK);
    assert.equal(await get(running.addresses.metrics), 200);
  });
});
