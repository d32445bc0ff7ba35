import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { generateKeys } from '../../../kernel/packaging/signature.ts';
import { TrustStore, trustEntry } from '../../../kernel/packaging/trust-store.ts';
import { type Candidate, judge, type TrustConfig } from '../../../kernel/packaging/trust.ts';
import { Sandbox } from './archives.ts';

const key = generateKeys();
const digest = `sha256:${'a'.repeat(64)}`;
const nobody: TrustConfig = { mode: 'local', keys: [], ids: [], digests: [] };
const signed: Candidate = { id: 'test.hello', origin: 'installed', sound: { digest, signer: key.name } };
const unsigned: Candidate = { id: 'test.hello', origin: 'installed', sound: { digest, signer: undefined } };
const bare: Candidate = { id: 'test.hello', origin: 'loaded' };

function isTrusted(candidate: Candidate, trust: Partial<TrustConfig> = {}): boolean {
  return judge(candidate, { ...nobody, ...trust }).isTrusted;
}

describe('the decision whether a plugin may run', () => {
  it('is yes for what comes with Lamella', () => {
    assert.ok(isTrusted({ ...bare, origin: 'own' }, { mode: 'strict' }));
  });

  it('is yes in the mode local for folders of the own user, named at the start or loaded by hand', () => {
    assert.ok(isTrusted(bare));
    assert.ok(isTrusted({ ...bare, origin: 'start', foreign: 'it belongs to user 7' }));
    assert.ok(!isTrusted({ ...bare, foreign: 'it belongs to user 7' }));
    assert.ok(!isTrusted(unsigned));
    assert.ok(!isTrusted(signed));
  });

  it('is no in the mode strict for all that nobody vouches for', () => {
    assert.ok(!isTrusted(bare, { mode: 'strict' }));
    assert.ok(!isTrusted({ ...bare, origin: 'start' }, { mode: 'strict' }));
  });

  for (const mode of ['strict', 'local'] as const) {
    it(`is yes in the mode ${mode} for a trusted key, digest or id`, () => {
      assert.ok(isTrusted(signed, { mode, keys: [key.name] }));
      assert.ok(!isTrusted(unsigned, { mode, keys: [key.name] }));
      assert.ok(!isTrusted(signed, { mode, keys: [generateKeys().name] }));
      assert.ok(isTrusted(unsigned, { mode, digests: [digest] }));
      assert.ok(!isTrusted(unsigned, { mode, digests: [`sha256:${'b'.repeat(64)}`] }));
      assert.ok(isTrusted(unsigned, { mode, ids: ['test.hello'] }));
      assert.ok(isTrusted(bare, { mode, ids: ['test.hello'] }));
    });
  }

  it('is yes in the mode development for everything but damaged packages', () => {
    assert.ok(isTrusted(unsigned, { mode: 'development' }));
    assert.ok(isTrusted({ ...bare, foreign: 'it belongs to user 7' }, { mode: 'development' }));
    const damaged = { ...bare, damage: "the file 'a' was changed" };
    assert.ok(!isTrusted(damaged, { mode: 'development', ids: ['test.hello'] }));
  });

  it('says why not, and what to do', () => {
    const of = (candidate: Candidate): object => judge(candidate, { ...nobody, mode: 'strict' });
    assert.deepEqual(of(signed), {
      isTrusted: false,
      why: `its signer ${key.name} is not trusted`,
      repair: `'lamella trust add ${key.name}' if you know who made it`,
    });
    assert.match(JSON.stringify(of(unsigned)), /not signed.*trust add sha256:a+'/);
    assert.match(JSON.stringify(of(bare)), /trust add test\.hello'.*lamella start --dev/);
    assert.match(JSON.stringify(of({ ...unsigned, damage: 'x' })), /plugin rollback test\.hello/);
  });
});

describe('the trust list', () => {
  let sandbox: Sandbox;
  let store: TrustStore;
  let file: string;
  beforeEach(async () => {
    sandbox = await Sandbox.create();
    await mkdir(sandbox.path('home'));
    file = sandbox.path('home/config.json');
    store = new TrustStore(sandbox.path('home'));
  });
  afterEach(() => sandbox.remove());

  it('takes keys, digests and ids, each once, and leaves all other options alone', async () => {
    await writeFile(file, '{ "drainMs": 7, "trust": { "mode": "strict" } }');
    assert.deepEqual(await store.add([key.name, digest, 'test.hello']), [key.name, digest, 'test.hello']);
    assert.deepEqual(await store.add([key.name]), []);
    assert.deepEqual(await store.read(), {
      mode: 'strict',
      keys: [key.name],
      ids: ['test.hello'],
      digests: [digest],
    });
    assert.equal((JSON.parse(await readFile(file, 'utf8')) as { drainMs: number }).drainMs, 7);
    await store.remove([digest, 'test.hello']);
    assert.deepEqual((await store.read()).digests, []);
    await assert.rejects(store.remove([digest]), { name: 'TRUST_INVALID' });
  });

  it('reads the name of a key from its file, and refuses what it does not understand', async () => {
    await writeFile(sandbox.path('me.pub'), key.publicPem);
    assert.equal(await trustEntry(sandbox.path('me.pub')), key.name);
    assert.equal(await trustEntry('test.hello'), 'test.hello');
    await writeFile(sandbox.path('text'), 'nothing');
    await assert.rejects(trustEntry(sandbox.path('text')), { name: 'KEY_INVALID' });
    for (const text of ['ed25519:short', 'sha256:12', 'Hello', '']) {
      await assert.rejects(trustEntry(text), { name: 'TRUST_INVALID' });
    }
  });

  it('changes nothing when the configuration is damaged', async () => {
    await writeFile(file, '{ "drainMs": ');
    await assert.rejects(store.add([digest]), { name: 'CONFIG_INVALID' });
    assert.equal(await readFile(file, 'utf8'), '{ "drainMs": ');
  });
});
