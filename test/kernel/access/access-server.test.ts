import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { EchoService } from '../../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { readOwnerFile } from '../../../kernel/access/owner-token.ts';
import { type Connection, parseAddress, withService } from '../../../kernel/cli/connect.ts';
import { AccessService } from '../../../proto/gen/lamella/kernel/v1/access_service_pb.ts';
import { EventService } from '../../../proto/gen/lamella/kernel/v1/event_service_pb.ts';
import { PluginService } from '../../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { startTestKernel, type TestKernel } from '../../../sdk/testing/index.ts';
import { copyEcho, ROOT } from '../../support/echo-plugin.ts';
import { HttpProbe } from '../../support/http-probe.ts';

const ECHO = path.join(ROOT, 'examples/echo');
const PAYLOAD = new Uint8Array([1, 2, 3]);
const ECHOED = [1, 2, 3];

interface Refusal {
  readonly reason: string;
  readonly code: number;
  readonly message: string;
  readonly retryAfterMs?: number;
}

/** The error that a promise must fail with. */
async function refusal(promise: Promise<unknown>): Promise<Refusal> {
  const error: unknown = await promise.then(
    () => assert.fail('should have been refused'),
    (failure: unknown) => failure,
  );
  return error as Refusal;
}

describe('access over the listeners', function () {
  this.timeout(60_000);
  let kernel: TestKernel;

  async function start(access: Readonly<Record<string, unknown>> = {}): Promise<void> {
    kernel = await startTestKernel({ plugins: [ECHO], config: { access } });
  }

  afterEach(() => kernel.stop());

  function as(token?: string, header = 'authorization'): Connection {
    const target = parseAddress(kernel.addresses.grpc);
    if (token === undefined) return { target };
    return { target, headers: new Map([[header, header === 'authorization' ? `Bearer ${token}` : token]]) };
  }

  async function owner(): Promise<Connection> {
    return as((await readOwnerFile(kernel.home))?.token);
  }

  async function makeKey(name: string, ...scopes: readonly string[]): Promise<string> {
    const { text } = await withService(await owner(), AccessService, (access) =>
      access.createKey({ name, scopes: [...scopes] }),
    );
    return text;
  }

  const say = (where: Connection): Promise<number[]> =>
    withService(where, EchoService, async (echo) => [...(await echo.say({ payload: PAYLOAD })).payload]);
  const reload = (where: Connection): Promise<unknown> =>
    withService(where, PluginService, (plugins) => plugins.reloadPlugin({ id: 'example.echo' }));

  async function http(pathname: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`http://${kernel.addresses.http}${pathname}`, init);
  }

  async function auditLines(count: number): Promise<Record<string, string>[]> {
    const file = path.join(kernel.home, 'audit.jsonl');
    for (;;) {
      const lines = (await readFile(file, 'utf8').catch(() => '')).split('\n').filter((line) => line !== '');
      if (lines.length >= count) return lines.map((line) => JSON.parse(line) as Record<string, string>);
      await new Promise(setImmediate);
    }
  }

  it('lets anybody on the loopback use services, and only the owner change plugins', async () => {
    await start();
    assert.deepEqual(await say(as()), ECHOED);
    const refused = await refusal(reload(as()));
    assert.deepEqual([refused.reason, refused.code], ['CREDENTIALS_REQUIRED', 16]);
    assert.match(refused.message, /lamella key create/);
    await reload(await owner());
  });

  it('keeps the token of the owner in a file that only he can read, and forgets it at the end', async () => {
    await start();
    const file = path.join(kernel.home, 'owner.json');
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    const { token = '', socket = '' } = (await readOwnerFile(kernel.home)) ?? {};
    await reload({
      target: { socketPath: socket },
      headers: new Map([['authorization', `Bearer ${token}`]]),
    });
    const wrong = `${token.slice(0, -1)}${token.endsWith('0') ? '1' : '0'}`;
    assert.equal((await refusal(reload(as(wrong)))).reason, 'CREDENTIALS_INVALID');
    assert.equal((await refusal(reload({ target: { socketPath: socket } }))).reason, 'CREDENTIALS_REQUIRED');
    await kernel.stop();
    await assert.rejects(stat(file));
  });

  it('opens to everybody when the configuration says so', async () => {
    await start({ anonymous: 'admin' });
    await reload(as());
  });

  it('takes keys as bearer and as x-api-key, over gRPC and HTTP, within their scopes', async () => {
    await start({ anonymous: 'none' });
    const key = await makeKey('ci', 'echo.v1.EchoService/*', 'http:GET /metrics');
    assert.equal((await refusal(say(as()))).reason, 'CREDENTIALS_REQUIRED');
    for (const header of ['authorization', 'x-api-key']) assert.deepEqual(await say(as(key, header)), ECHOED);
    const denied = await refusal(reload(as(key)));
    assert.deepEqual([denied.reason, denied.code], ['ACCESS_DENIED', 7]);
    assert.match(denied.message, /^key:ci may not call lamella\.kernel\.v1\.PluginService\/ReloadPlugin/);
    const metrics = `http://${kernel.addresses.metrics}/metrics`;
    const [without, withKey] = [
      await fetch(metrics),
      await fetch(metrics, { headers: { 'x-api-key': key } }),
    ];
    assert.deepEqual([without.status, withKey.status], [401, 200]);
    assert.equal(without.headers.get('www-authenticate'), 'Bearer realm="lamella"');
    const unknown = await http('/nothing', { headers: { authorization: `Bearer ${key}` } });
    assert.equal(unknown.status, 403, 'a refused caller does not learn what there is');
  });

  it('leaves bearer tokens that are no credentials of the kernel to the plugins', async () => {
    await start();
    for (const token of ['sk-something', 'a.b.c', '']) assert.deepEqual(await say(as(token)), ECHOED);
  });

  it('shows plugins neither keys nor identities that nobody checked', async () => {
    const echo = await copyEcho();
    await echo.replaceCode(
      'return { payload, version };',
      "return { payload: Buffer.from([...context.headers.keys()].join(' ')), version };",
    );
    kernel = await startTestKernel({ plugins: [echo.directory] });
    const key = await makeKey('ci', 'user');
    const sent = [
      ['x-api-key', key],
      ['x-forwarded-client-cert', 'URI=spiffe://example.org/admin'],
      ['l5d-client-id', 'spiffe://example.org/admin'],
      ['x-harmless', 'seen'],
    ] as const;
    const seen = async (...headers: readonly (readonly [string, string])[]): Promise<string> =>
      Buffer.from(await say({ ...as(), headers: new Map(headers) })).toString();
    assert.match(await seen(...sent), /x-harmless/);
    assert.doesNotMatch(await seen(...sent), /x-api-key|forwarded|l5d/);
    assert.doesNotMatch(await seen(...sent.slice(1)), /forwarded|l5d/);
    assert.match(await seen(['authorization', 'Bearer sk-of-a-plugin']), /authorization/);
    await echo.remove();
  });

  it('withholds the same over HTTP', async () => {
    await start();
    const probe = new HttpProbe();
    await probe.start((request) => new Response([...request.headers.keys()].join(' ')), {
      admit: () => ({ withheld: ['x-api-key', 'l5d-client-id'] }),
    });
    const headers = { 'x-api-key': 'lml_', 'l5d-client-id': 'x', 'x-harmless': 'seen' };
    const { text } = await probe.send('/t', { headers });
    await probe.close();
    assert.match(text, /x-harmless/);
    assert.doesNotMatch(text, /x-api-key|l5d/);
  });

  it('refuses a revoked key while calls run, and fails no call of another', async () => {
    await start({ anonymous: 'none' });
    const [leaving, staying] = [await makeKey('leaving', 'user'), await makeKey('staying', 'user')];
    let isRevoked = false;
    const caller = async (key: string): Promise<string[]> =>
      withService(as(key), EchoService, async (echo) => {
        const reasons: string[] = [];
        for (let count = 0; count < 200; count += 1) {
          const startedAfter = isRevoked;
          await echo.say({ payload: PAYLOAD }).then(
            () => assert.ok(!(startedAfter && key === leaving), 'served after the revocation'),
            (error: unknown) => reasons.push((error as Refusal).reason),
          );
          if (count === 50 && key === leaving) {
            await withService(await owner(), AccessService, (access) =>
              access.revokeKey({ name: 'leaving' }),
            );
            isRevoked = true;
          }
        }
        return reasons;
      });
    const [gone, stayed] = await Promise.all([caller(leaving), caller(staying)]);
    assert.deepEqual(stayed, []);
    assert.equal(gone.length, 149);
    assert.deepEqual([...new Set(gone)], ['CREDENTIALS_INVALID']);
  });

  it('limits each principal with a pushback, over HTTP with Retry-After', async () => {
    await start({
      limits: { 'key:slow': { perSecond: 0.01, burst: 2 }, anonymous: { perSecond: 0.01, burst: 1 } },
    });
    const key = await makeKey('slow', 'user');
    await say(as(key));
    await say(as(key));
    const limited = await refusal(say(as(key)));
    assert.deepEqual([limited.reason, limited.code], ['RATE_LIMITED', 8]);
    assert.ok((limited.retryAfterMs ?? 0) > 1_000, String(limited.retryAfterMs));
    await http('/');
    const answer = await http('/');
    assert.equal(answer.status, 429);
    assert.ok(Number(answer.headers.get('retry-after')) > 1);
    await reload(await owner());
  });

  it('writes every refusal to the audit file and topic, without secrets', async () => {
    await start();
    const heard = withService(await owner(), EventService, async (events) => {
      for await (const { event } of events.subscribe({ topics: ['kernel.audit'] })) {
        if (event !== undefined) return event;
      }
      return undefined;
    });
    const key = await makeKey('ci', 'viewer');
    const wrong = `${key.slice(0, -4)}0000`;
    await refusal(say(as(key)));
    await refusal(say(as(wrong)));
    await http('/v2/repository/models/secret%20name/load?token=hidden', { method: 'POST' });
    const lines = await auditLines(4);
    assert.deepEqual(
      lines.map(({ action, principal, operation, reason }) => [action, principal, operation, reason]),
      [
        ['key-created', 'owner', 'key:ci', ''],
        ['denied', 'key:ci', 'echo.v1.EchoService/Say', 'ACCESS_DENIED'],
        ['denied', 'unknown', 'echo.v1.EchoService/Say', 'CREDENTIALS_INVALID'],
        ['denied', 'anonymous', 'http:POST /v2/repository/models/secret name/load', 'CREDENTIALS_REQUIRED'],
      ],
    );
    assert.match(lines[1]?.['peer'] ?? '', /^127\.0\.0\.1:\d+$/);
    assert.ok(Number.isFinite(Date.parse(lines[0]?.['time'] ?? '')));
    const text = JSON.stringify(lines);
    for (const hidden of [key, key.slice(17), wrong.slice(17), 'hidden']) assert.ok(!text.includes(hidden));
    assert.equal((await stat(path.join(kernel.home, 'audit.jsonl'))).mode & 0o777, 0o600);
    assert.equal((await heard)?.source, 'kernel');
  });

  it('explains decisions to administrators', async () => {
    await start({ roles: { echo: ['echo.v1.EchoService/*'] } });
    await makeKey('ci', 'echo');
    const explain = async (principal: string, operation: string): Promise<string> => {
      const answer = await withService(await owner(), AccessService, (access) =>
        access.explainAccess({ principal, operation }),
      );
      return answer.sentence;
    };
    assert.equal(
      await explain('key:ci', 'echo.v1.EchoService/Say'),
      "key:ci (echo) may call echo.v1.EchoService/Say: rule 'echo.v1.EchoService/*' of role 'echo', config.json access.roles",
    );
    assert.equal(
      await explain('anonymous', 'http:POST /v2/repository/models/m/load'),
      "anonymous (local) may not call http:POST /v2/repository/models/m/load: rule '!http:POST /v2/repository*' of role 'local', built in",
    );
    assert.equal((await refusal(explain('nobody', 'a.v1.S/M'))).reason, 'PRINCIPAL_UNKNOWN');
    assert.equal((await refusal(explain('key:gone', 'a.v1.S/M'))).reason, 'API_KEY_NOT_FOUND');
    const outside = withService(as(), AccessService, (access) => access.listKeys({}));
    assert.equal((await refusal(outside)).reason, 'CREDENTIALS_REQUIRED');
  });

  it('answers thousands of wrong keys and goes on serving', async function () {
    this.timeout(60_000);
    await start();
    const key = await makeKey('ci', 'user');
    await withService(as(), EchoService, async (echo) => {
      const calls = Array.from({ length: 3_000 }, (_, number) =>
        echo
          .say(
            { payload: PAYLOAD },
            { headers: [['x-api-key', `lml_${String(number).padStart(12, '0')}_${'0'.repeat(64)}`]] },
          )
          .then(
            () => 'served',
            (error: unknown) => (error as Refusal).reason,
          ),
      );
      assert.deepEqual([...new Set(await Promise.all(calls))], ['CREDENTIALS_INVALID']);
    });
    assert.deepEqual(await say(as(key)), ECHOED);
  });

  it('refuses credentials of absurd size, over gRPC and HTTP', async () => {
    await start();
    const long = await refusal(say(as(`lml_${'a'.repeat(20_000)}`)));
    assert.equal(long.reason, 'CREDENTIALS_INVALID');
    const larger = await http('/', { headers: { 'x-api-key': 'a'.repeat(100_000) } });
    assert.equal(larger.status, 431);
    assert.deepEqual(await say(as()), ECHOED);
  });
});
