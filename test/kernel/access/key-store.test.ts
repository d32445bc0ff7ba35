import assert from 'node:assert/strict';
import { generateKey, isSecretOf, parseKey } from '../../../kernel/access/api-key.ts';
import { KeyStore } from '../../../kernel/access/key-store.ts';
import { createLogger } from '../../../kernel/logger.ts';
import { MemoryStorage } from './memory-storage.ts';

const DAY_MS = 86_400_000;

describe('API keys', () => {
  let storage = new MemoryStorage();
  let nowMs = 0;
  const clock = { now: () => nowMs };
  const log = createLogger({ level: 'silent' });
  const open = (): Promise<KeyStore> => KeyStore.open({ storage, clock, log });
  const failsWith = (reason: string) => (error: unknown) => (error as { reason?: string }).reason === reason;

  beforeEach(() => {
    storage = new MemoryStorage();
    nowMs = Date.UTC(2026, 0, 1);
  });

  it('are recognisable, random, and kept as a hash only', async () => {
    const keys = await open();
    const { text } = await keys.create({ name: 'ci', scopes: ['user'], expiresMs: undefined });
    assert.match(text, /^lml_[0-9a-f]{12}_[0-9a-f]{64}$/);
    const other = await keys.create({ name: 'other', scopes: ['user'], expiresMs: undefined });
    assert.notEqual(other.text, text);
    const secret = parseKey(text)?.secret ?? '';
    const kept = JSON.stringify([...storage.entries]);
    assert.ok(secret.length === 64 && !kept.includes(secret));
    assert.ok(!JSON.stringify(keys.list()).includes('hash'));
  });

  it('name their principal, also after a restart', async () => {
    const { text } = await (
      await open()
    ).create({ name: 'ci', scopes: ['viewer', 'a.v1.S/M'], expiresMs: undefined });
    assert.deepEqual((await open()).verify(text), {
      kind: 'key',
      name: 'key:ci',
      grants: ['viewer', 'a.v1.S/M'],
    });
  });

  it('are refused when wrong in any part', async () => {
    const keys = await open();
    const { text } = await keys.create({ name: 'ci', scopes: ['user'], expiresMs: undefined });
    const flipped = text.slice(0, -1) + (text.endsWith('0') ? '1' : '0');
    const foreign = generateKey().text;
    const parts = parseKey(text);
    const mixed = `lml_${parts?.id}_${parseKey(foreign)?.secret}`;
    for (const wrong of [
      flipped,
      foreign,
      mixed,
      '',
      'lml_',
      `${text}0`,
      text.toUpperCase(),
      `lml_${'a'.repeat(1e6)}`,
    ]) {
      assert.throws(() => keys.verify(wrong), failsWith('CREDENTIALS_INVALID'));
    }
  });

  it('are compared over the whole hash', () => {
    const { text, hash } = generateKey();
    const secret = parseKey(text)?.secret ?? '';
    assert.ok(isSecretOf(secret, hash));
    assert.ok(!isSecretOf(secret, hash.slice(0, -1) + (hash.endsWith('0') ? '1' : '0')));
    assert.ok(!isSecretOf(secret, ''));
  });

  it('end when they expire, also when the clock was set forward', async () => {
    const keys = await open();
    const { text } = await keys.create({ name: 'ci', scopes: ['user'], expiresMs: nowMs + DAY_MS });
    keys.verify(text);
    nowMs += DAY_MS;
    assert.equal(keys.hasUsable, false);
    assert.throws(() => keys.verify(text), /has expired/);
  });

  it('end when they are revoked, at once and for good', async () => {
    const keys = await open();
    const { text } = await keys.create({ name: 'ci', scopes: ['user'], expiresMs: undefined });
    await keys.revoke('ci');
    assert.throws(() => keys.verify(text), failsWith('CREDENTIALS_INVALID'));
    assert.throws(() => (keys as KeyStore).principal('ci'), failsWith('API_KEY_NOT_FOUND'));
    assert.deepEqual((await open()).list(), []);
    await assert.rejects(keys.revoke('ci'), failsWith('API_KEY_NOT_FOUND'));
  });

  it('write their last use at most once a minute', async () => {
    const keys = await open();
    const { text } = await keys.create({ name: 'ci', scopes: ['user'], expiresMs: undefined });
    for (let count = 0; count < 1000; count += 1) keys.verify(text);
    await new Promise(setImmediate);
    assert.equal(storage.writeCount, 2);
    assert.equal(keys.list()[0]?.lastUsedMs, nowMs);
    nowMs += 59_999;
    keys.verify(text);
    await new Promise(setImmediate);
    assert.equal(storage.writeCount, 2);
    nowMs += 1;
    keys.verify(text);
    await new Promise(setImmediate);
    assert.equal(storage.writeCount, 3);
    assert.equal((await open()).list()[0]?.lastUsedMs, nowMs);
  });

  it('do not come back by a write of their last use that is late', async () => {
    const keys = await open();
    const { text } = await keys.create({ name: 'ci', scopes: ['user'], expiresMs: undefined });
    let go: () => void = () => undefined;
    storage.pause = new Promise((resolve) => {
      go = resolve;
    });
    keys.verify(text);
    await keys.revoke('ci');
    go();
    await new Promise(setImmediate);
    assert.equal(storage.entries.size, 0);
  });

  it('are not made from bad input', async () => {
    const keys = await open();
    const good = { name: 'ci', scopes: ['user'], expiresMs: undefined };
    for (const bad of [
      { name: '' },
      { name: 'A b' },
      { name: 'x'.repeat(64) },
      { scopes: [] },
      { expiresMs: nowMs },
      { expiresMs: Number.NaN },
    ]) {
      await assert.rejects(keys.create({ ...good, ...bad }), failsWith('API_KEY_INVALID'));
    }
    await keys.create(good);
    await assert.rejects(keys.create(good), failsWith('API_KEY_EXISTS'));
  });
});
