import assert from 'node:assert/strict';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { LANGUAGES, newPlugin } from '../../kernel/cli/plugin-new.ts';
import { shippedServices } from '../../kernel/loader/proto/shipped-services.ts';
import { readManifest } from '../../kernel/registry/manifest.ts';
import { startTestKernel } from '../../sdk/testing/index.ts';
import { runTool } from '../e2e/tool.ts';
import { type MadePlugin, makePlugin } from '../support/template-folder.ts';
import { Lamella, ROOT } from './lamella-process.ts';

const BIN = path.join(ROOT, 'node_modules/.bin');
const ENVIRONMENT = { ...process.env, PATH: `${BIN}:${process.env['PATH'] ?? ''}` };

interface WordCount {
  greet(request: { name: string }): Promise<{ text: string }>;
}

describe('lamella plugin new', function () {
  this.timeout(60_000);
  let folder = '';
  let made: MadePlugin | undefined;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'lamella-new-'));
  });

  afterEach(async () => {
    await made?.remove();
    made = undefined;
    await rm(folder, { recursive: true, force: true });
  });

  for (const language of LANGUAGES) {
    it(`makes a plugin with the new name everywhere: ${language}`, async () => {
      const directory = path.join(folder, 'made');
      await newPlugin({ name: 'app.word-count', language, directory });
      const files = await readdir(directory, { recursive: true, withFileTypes: true });
      for (const file of files) {
        assert.doesNotMatch(file.name, /greeter|^gitignore/i);
        if (!file.isFile()) continue;
        assert.doesNotMatch(
          await readFile(path.join(file.parentPath, file.name), 'utf8'),
          /greeter/i,
          file.name,
        );
      }
      assert.ok(files.some(({ name }) => name === '.gitignore'));
      const manifest = await readManifest(directory);
      assert.equal(manifest.id, 'app.word-count');
      const protos = ['proto/word_count/v1/word_count_service.proto'];
      const [service] = await shippedServices({ ...manifest, protos }, directory);
      assert.equal(service?.typeName, 'word_count.v1.WordCountService');
    });
  }

  it('puts a plugin without a layer under example', async () => {
    const directory = await newPlugin({
      name: 'hello',
      language: 'python',
      directory: path.join(folder, 'hello'),
    });
    assert.equal((await readManifest(directory)).id, 'example.hello');
  });

  for (const name of ['', '../up', 'Word', 'a b', 'a..b', '-a', 'a/b', '1a', 'a-', 'x'.repeat(61)]) {
    it(`refuses the name '${name.slice(0, 10)}'`, async () => {
      const directory = path.join(folder, 'x');
      await assert.rejects(
        newPlugin({ name, language: 'go', directory }),
        /cannot be the name of a plugin; use/,
      );
      assert.deepEqual(await readdir(folder), []);
    });
  }

  it('leaves a folder alone that holds something', async () => {
    await writeFile(path.join(folder, 'mine.txt'), 'mine');
    await assert.rejects(
      newPlugin({ name: 'hello', language: 'go', directory: folder }),
      /not empty; name another/,
    );
    assert.deepEqual(await readdir(folder), ['mine.txt']);
  });

  it('says what comes next, or JSON', async () => {
    const words = ['plugin', 'new', 'hello', '--lang', 'go', '--directory'];
    const { code, out } = await new Lamella([...words, path.join(folder, 'a')]).ended;
    assert.equal(code, 0);
    assert.match(out, /lamella plugin dev .*\/a\n/);
    const json = await new Lamella([...words, path.join(folder, 'b'), '--json']).ended;
    assert.deepEqual(JSON.parse(json.out), { directory: path.join(folder, 'b'), language: 'go' });
    const wrong = await new Lamella(['plugin', 'new', 'hello', '--lang', 'cobol']).ended;
    assert.equal(wrong.code, 2);
    assert.match(wrong.err, /typescript, python, go/);
  });

  it('is in the package that npm makes, whole', async () => {
    const out = await runTool('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: ROOT });
    const [packed] = JSON.parse(out) as { files: { path: string }[] }[];
    const files = new Set(packed?.files.map((file) => file.path));
    for (const file of [
      'go/go.mod',
      'go/gitignore',
      'python/main.py',
      'typescript/gen/greeter/v1/greeter_service_pb.ts',
    ]) {
      assert.ok(files.has(`sdk/templates/${file}`), file);
    }
  });

  describe('in TypeScript', () => {
    it('passes the type checker, as the template and renamed', async () => {
      made = await makePlugin('typescript', 'word-count');
      const template = path.join(path.dirname(made.directory), 'template');
      await cp(path.join(ROOT, 'sdk/templates/typescript'), template, { recursive: true });
      for (const directory of [made.directory, template]) {
        await runTool(path.join(BIN, 'tsc'), ['-p', directory], {
          cwd: directory,
        }).catch((error: { stdout: string }) => assert.fail(error.stdout));
      }
    });

    it('has generated code that is what the generator makes', async () => {
      made = await makePlugin('typescript', 'word-count');
      const file = path.join(made.directory, 'gen/word_count/v1/word_count_service_pb.ts');
      const withoutDescriptor = (code: string): string => code.replace(/fileDesc\("[^"]+"/, '');
      const before = withoutDescriptor(await readFile(file, 'utf8'));
      await runTool('buf', ['generate'], { cwd: made.directory, env: ENVIRONMENT });
      assert.equal(before, withoutDescriptor(await readFile(file, 'utf8')));
    });

    it('passes its own tests', async () => {
      made = await makePlugin('typescript', 'word-count');
      await runTool('npm', ['test'], { cwd: made.directory, env: ENVIRONMENT }).catch(
        (error: { stdout: string }) => assert.fail(error.stdout),
      );
    });

    for (const isolation of ['INLINE', 'PROCESS'] as const) {
      it(`runs at once: ${isolation}`, async () => {
        made = await makePlugin('typescript', 'word-count');
        const manifest = await readManifest(made.directory);
        const protos = ['proto/word_count/v1/word_count_service.proto'];
        const [service] = await shippedServices({ ...manifest, protos }, made.directory);
        assert.ok(service);
        const kernel = await startTestKernel({
          plugins: [made.directory],
          config: { plugins: { 'example.word-count': { isolation } } },
        });
        try {
          const client = kernel.call(service) as unknown as WordCount;
          assert.equal((await client.greet({ name: 'Ada' })).text, 'Hello, Ada!');
        } finally {
          await kernel.stop();
        }
      });
    }
  });
});
