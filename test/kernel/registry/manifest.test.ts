import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseManifest, readManifest } from '../../../kernel/registry/manifest.ts';
import { IsolationLevel } from '../../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { DeclaredError } from '../../../sdk/index.ts';

const VALID = {
  id: 'data.store',
  version: '0.1.0',
  kernel: '^0.1.0',
  description: 'Keeps datasets.',
  entry: { module: 'plugin.ts' },
  isolation: { preferred: 'PROCESS', allowed: ['PROCESS', 'INLINE'] },
  provides: [
    { service: 'lamella.data.v1.StoreService' },
    { service: 'lamella.data.v1.StoreDriverService', extension: 'lmdb' },
  ],
  requires: [{ service: 'lamella.data.v1.EngineService', version: '^0.1.0', optional: true }],
  capabilities: { network: [], files: [], services: ['*'], gpu: false, httpPrefix: '/v2' },
  config: { type: 'object', properties: { path: { type: 'string', default: 'data' } } },
  resources: { memoryMib: 512, queue: 1024 },
  probes: { startTimeout: '3.5s' },
  externals: ['lmdb'],
};

function problemsOf(change: Record<string, unknown>): string {
  return problemsOfText(JSON.stringify({ ...VALID, ...change }));
}

function problemsOfText(text: string): string {
  try {
    parseManifest(text, 'plugin.json');
  } catch (error) {
    assert.ok(error instanceof DeclaredError);
    assert.equal(error.reason, 'MANIFEST_INVALID');
    assert.match(error.message, /^plugin\.json is not a valid plugin manifest/);
    return error.metadata['problems'] ?? '';
  }
  return '';
}

describe('parseManifest', () => {
  it('reads a whole manifest', () => {
    const parsed = parseManifest(JSON.stringify(VALID), 'plugin.json');
    assert.equal(parsed.id, 'data.store');
    assert.equal(parsed.isolation?.preferred, IsolationLevel.PROCESS);
    assert.equal(parsed.provides[1]?.extension, 'lmdb');
    assert.deepEqual(parsed.config, VALID.config);
    assert.equal(parsed.probes?.startTimeout?.nanos, 500_000_000);
  });

  it('takes the names of the .proto file and a byte order mark too', () => {
    const { resources: _, ...rest } = VALID;
    const text = `\uFEFF${JSON.stringify({ ...rest, resources: { memory_mib: 7 } })}`;
    assert.equal(parseManifest(text, 'plugin.json').resources?.memoryMib, 7);
  });

  const cases: readonly (readonly [string, Record<string, unknown>, RegExp])[] = [
    [
      'an id without a layer',
      { id: 'store' },
      /id 'store' must be <layer>\.<name> in lower case, like 'data\.store'/,
    ],
    ['an id that is a path', { id: '../../etc.x' }, /id '\.\.\/\.\.\/etc\.x' must be/],
    ['an endless id', { id: `data.${'a'.repeat(200)}` }, /must be <layer>/],
    ['a version that is a range', { version: '^1.0.0' }, /version '\^1\.0\.0' must be a semantic version/],
    ['a version with a v', { version: 'v1.0.0' }, /must be a semantic version/],
    ['a kernel range that is none', { kernel: 'new' }, /kernel 'new' must be a range/],
    ['no entry', { entry: {} }, /entry must have exactly one of/],
    [
      'two ways to start',
      { entry: { module: 'a.ts', command: ['b'] } },
      /exactly one of module, command and addresses/,
    ],
    [
      'a module outside the folder',
      { entry: { module: '../a.ts' } },
      /entry\.module '\.\.\/a\.ts' is outside/,
    ],
    ['a module by an absolute path', { entry: { module: '/etc/a.ts' } }, /is outside the plugin's folder/],
    ['a module on a drive', { entry: { module: 'C:\\a.ts' } }, /is outside/],
    ['a module that climbs out half-way', { entry: { module: 'a/../../b.ts' } }, /is outside/],
    ['a module with a zero byte', { entry: { module: 'a\0.ts' } }, /is outside/],
    ['an empty command', { entry: { command: [''] } }, /must begin with the name of a program/],
    [
      'a command outside the folder',
      { entry: { command: ['./../run'] } },
      /entry\.command '\.\/\.\.\/run' is outside/,
    ],
    ['an address without a port', { entry: { addresses: ['host'] } }, /'host' must be host:port/],
    [
      'no isolation',
      { isolation: undefined },
      /isolation\.preferred must be INLINE, WORKER, PROCESS or REMOTE/,
    ],
    [
      'a preference that is not allowed',
      { isolation: { preferred: 'INLINE', allowed: ['PROCESS'] } },
      /INLINE must be one of isolation\.allowed/,
    ],
    [
      'a command inline',
      { entry: { command: ['python3'] }, isolation: { preferred: 'INLINE' } },
      /INLINE does not go with this entry; PROCESS would/,
    ],
    [
      'an address as a process',
      { entry: { addresses: ['a:1'] } },
      /PROCESS does not go with this entry; REMOTE would/,
    ],
    [
      'a module as remote',
      { isolation: { preferred: 'REMOTE' } },
      /REMOTE does not go with this entry; INLINE, WORKER, PROCESS would/,
    ],
    [
      'a service without a package',
      { provides: [{ service: 'Store' }] },
      /provides: service 'Store' must be a full proto name/,
    ],
    ['a service twice', { provides: [{ service: 'a.A' }, { service: 'a.A' }] }, /provides names a\.A twice/],
    [
      'an odd extension',
      { provides: [{ service: 'a.A', extension: 'A B' }] },
      /extension 'A B' must be a name in lower case/,
    ],
    [
      'an odd requirement',
      { requires: [{ service: 'x y', version: 'soon', extension: '-' }] },
      /requires: service 'x y'.*requires: extension '-'.*version 'soon'/,
    ],
    [
      'a prefix without a slash',
      { capabilities: { httpPrefix: 'v2' } },
      /httpPrefix 'v2' must start with '\/'/,
    ],
    ['a prefix that climbs', { capabilities: { httpPrefix: '/a/' } }, /and not end with it/],
    ['a capability for no service', { capabilities: { services: ['all'] } }, /capabilities\.services: 'all'/],
    [
      'a file right without a path',
      { capabilities: { files: [{ write: true }] } },
      /each entry needs a path/,
    ],
    ['a proto outside the folder', { protos: ['../x.proto'] }, /protos '\.\.\/x\.proto' is outside/],
    ['a schema that is none', { config: { type: 'objekt' } }, /config is not a JSON Schema/],
    ['a schema with a foreign reference', { config: { $ref: 'other.json' } }, /config is not a JSON Schema/],
    ['an unknown key', { isolaton: {} }, /there is no 'isolaton'; write 'isolation'/],
    ['an unknown key far from all', { zzzzzz: 1 }, /there is no 'zzzzzz'; known are id, version, kernel/],
    [
      'an unknown key inside',
      { provides: [{ servise: 'a.A' }] },
      /there is no 'provides\[0\]\.servise'; write 'service'/,
    ],
    [
      'an unknown level',
      { isolation: { preferred: 'INLNE' } },
      /isolation\.preferred cannot be 'INLNE'; write 'INLINE'/,
    ],
    [
      'an unknown level in a list',
      { isolation: { preferred: 'INLINE', allowed: ['THREAD'] } },
      /isolation\.allowed\[0\] cannot be 'THREAD'; known are INLINE, WORKER, PROCESS, REMOTE/,
    ],
    ['a wrong type', { version: 1 }, /version: expected string, got 1/],
    ['a text in place of a list', { provides: 'a.A' }, /provides.*expected Array/],
    ['a limit below zero', { resources: { memoryMib: -1 } }, /memory_mib|memoryMib/],
  ];
  for (const [what, change, wording] of cases) {
    it(`refuses ${what}`, () => {
      assert.match(problemsOf(change), wording);
    });
  }

  it('tells everything that is wrong at once', () => {
    const problems = problemsOf({ id: 'X', version: 'y', entry: {}, unknwon: 1 });
    for (const wording of [/id 'X'/, /version 'y'/, /entry must/, /'unknwon'/])
      assert.match(problems, wording);
  });

  it('counts unknown names beyond the first twenty', () => {
    const many = Object.fromEntries(
      Array.from({ length: 30 }, (_, index) => [`k${index}${'x'.repeat(300)}`, 1]),
    );
    const problems = problemsOf(many);
    assert.match(problems, /and 10 more of that kind/);
    assert.ok(problems.length < 20_000);
  });

  it('says where the text stops to be JSON', () => {
    assert.match(problemsOfText('{\n  "id": "data.a",\n  oops\n}'), /it is not JSON .*line 3, column 3/);
    assert.match(problemsOfText(''), /it is not JSON/);
  });

  for (const text of ['null', '[]', '"text"', '7']) {
    it(`refuses ${text}`, () => {
      assert.notEqual(problemsOfText(text), '');
    });
  }

  it('refuses what is nested so deeply that it could overflow the stack', () => {
    const depth = 20_000;
    const text = `{"config":${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}}`;
    assert.match(problemsOfText(text), /nested too deeply/);
  });

  it('refuses what is too long', () => {
    assert.match(
      problemsOfText(JSON.stringify({ description: 'x'.repeat(300_000) })),
      /longer than 262144 bytes/,
    );
  });

  it('is not fooled by a key named like a part of every object', () => {
    assert.match(
      problemsOfText('{"__proto__": {"polluted": 1}, "constructor": 1}'),
      /'__proto__'.*'constructor'/,
    );
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
  });
});

describe('readManifest', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'manifest-'));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  const rejects = async (directory: string, wording: RegExp): Promise<void> => {
    await assert.rejects(readManifest(directory), (error: unknown) => {
      assert.ok(error instanceof DeclaredError && error.reason === 'MANIFEST_INVALID');
      assert.match(error.message, wording);
      assert.ok(error.message.includes(path.join(directory, 'plugin.json')));
      return true;
    });
  };

  it('reads plugin.json of a folder', async () => {
    await writeFile(path.join(folder, 'plugin.json'), JSON.stringify(VALID));
    assert.equal((await readManifest(folder)).id, 'data.store');
  });

  it('names the folder that has none', async () => {
    await rejects(folder, /there is no such file; name the folder of a plugin/);
  });

  it('names a file given in place of the folder', async () => {
    const file = path.join(folder, 'plugin.json');
    await writeFile(file, '{}');
    await rejects(file, /there is no such file/);
  });

  it('does not read a folder of that name', async () => {
    await mkdir(path.join(folder, 'plugin.json'));
    await rejects(folder, /it is not a file/);
  });

  it('does not wait for a pipe of that name', async () => {
    execFileSync('mkfifo', [path.join(folder, 'plugin.json')]);
    await rejects(folder, /it is not a file/);
  });

  it('does not read a huge file to its end', async () => {
    await writeFile(path.join(folder, 'plugin.json'), Buffer.alloc(5_000_000, 32));
    await rejects(folder, /longer than 262144 bytes/);
  });
});
