import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { LANGUAGES } from '../../kernel/cli/plugin-new.ts';
import { isDeclaredError } from '../../sdk/index.ts';
import { startTestKernel, type TestKernel } from '../../sdk/testing/index.ts';
import { ROOT } from '../support/echo-plugin.ts';

const run = promisify(execFile);
const FILE_BLOCK = /^```\w+ file=(\S+)\n([\s\S]*?)^```$/gm;

describe('docs/writing-a-plugin.md', function () {
  this.timeout(60_000);
  let folder: string;
  let kernel: TestKernel | undefined;

  before(async () => {
    // Inside the checkout, so that the page's imports find the package as a plugin's would.
    await mkdir(path.join(ROOT, 'dist/test/docs'), { recursive: true });
    folder = await mkdtemp(path.join(ROOT, 'dist/test/docs/greeter-'));
    const page = await readFile(path.join(ROOT, 'docs/writing-a-plugin.md'), 'utf8');
    for (const [, file = '', text = ''] of page.matchAll(FILE_BLOCK)) {
      await mkdir(path.dirname(path.join(folder, file)), { recursive: true });
      await writeFile(path.join(folder, file), text);
    }
    const bin = path.join(ROOT, 'node_modules/.bin');
    const environment = { ...process.env, PATH: `${bin}:${process.env['PATH'] ?? ''}` };
    await run(path.join(bin, 'buf'), ['generate', 'proto'], { cwd: folder, env: environment });
    await run(path.join(bin, 'buf'), ['build', 'proto', '-o', 'image.binpb'], {
      cwd: folder,
      env: environment,
    });
  });

  after(async () => {
    await kernel?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('has code that passes the type checker', async () => {
    const tsconfig = {
      extends: path.join(ROOT, 'tsconfig.json'),
      compilerOptions: {
        noEmit: true,
        incremental: false,
        rootDir: ROOT,
        types: ['node'],
        isolatedDeclarations: false,
      },
      include: [path.join(folder, '*.ts')],
      exclude: [],
    };
    await writeFile(path.join(folder, 'tsconfig.json'), JSON.stringify(tsconfig));
    await run(path.join(ROOT, 'node_modules/.bin/tsc'), ['-p', folder], { cwd: ROOT }).catch(
      (error: { stdout: string }) => assert.fail(error.stdout),
    );
  });

  for (const language of LANGUAGES) {
    it(`shows for ${language} what the README of its template says`, async () => {
      const page = await readFile(path.join(ROOT, 'docs/writing-a-plugin.md'), 'utf8');
      const readme = await readFile(path.join(ROOT, 'sdk/templates', language, 'README.md'), 'utf8');
      const known = new Set(readme.split('\n'));
      const commands = [...page.matchAll(/^```sh lang=(\w+)\n([\s\S]*?)^```$/gm)]
        .filter(([, of]) => of === language)
        .flatMap(([, , text = '']) => text.trimEnd().split('\n'));
      assert.ok(commands.length >= 3);
      assert.deepEqual(
        commands.filter((command) => !known.has(command)),
        [],
      );
    });
  }

  for (const isolation of ['INLINE', 'PROCESS'] as const) {
    it(`makes a plugin that greets, inline or in a process: ${isolation}`, async () => {
      const config = { plugins: { 'example.greeter': { isolation, config: { greeting: 'Good day' } } } };
      kernel = await startTestKernel({ plugins: [folder], config });
      const image = await readFile(path.join(folder, 'image.binpb'));
      const service = createFileRegistry(fromBinary(FileDescriptorSetSchema, image)).getService(
        'greeter.v1.GreeterService',
      );
      assert.ok(service);
      const client = kernel.call(service) as unknown as Record<
        string,
        (request: object) => Promise<{ text: string }>
      >;
      assert.equal((await client['greet']?.({ name: 'Ada' }))?.text, 'Good day, Ada!');
      await assert.rejects(
        client['greet']?.({}) ?? Promise.resolve(),
        (error) => isDeclaredError(error) && error.reason === 'NAME_MISSING',
      );
      await kernel.stop();
      kernel = undefined;
    });
  }
});
