import assert from 'node:assert/strict';
import { Accelerator } from 'lamella/proto/lamella/serving/v1/deploy_service';
import { readConfigText } from '../../../../plugins/serving/infer/config-text.ts';
import { sessionSettings } from '../../../../plugins/serving/infer/supported-config.ts';
import { type Rendered, render, SPEC, subject } from './deploy-subject.ts';

const BASE =
  'example.org/cuda-node22@sha256:5d3e7a0f3b9b1d8c1c5d0a4a2f3c9b8e7d6f5a4b3c2d1e0f9a8b7c6d5e4f3a2b';

function textOf(files: readonly Rendered[], path: string): string {
  const file = files.find((candidate) => candidate.path === path);
  assert.ok(file !== undefined, path);
  return file.bytes.toString();
}

async function withAccelerator(accelerator: Accelerator, baseImage: string = BASE): Promise<Rendered[]> {
  return render(subject(), {
    target: 'docker',
    textOnly: true,
    options: { baseImage },
    spec: { ...SPEC, compute: { accelerator } },
  });
}

describe('the build context of target docker', function () {
  this.timeout(60_000);

  it('only copies, and runs as nobody', async () => {
    const text = textOf(await render(subject(), { target: 'docker', textOnly: true }), 'Dockerfile');
    const instructions = text.split('\n').filter((line) => /^[A-Z]+ /.test(line));
    assert.deepEqual(
      instructions.map((line) => line.split(' ')[0]),
      [
        'FROM',
        'COPY',
        'COPY',
        'COPY',
        'ENV',
        'USER',
        'VOLUME',
        'EXPOSE',
        'STOPSIGNAL',
        'HEALTHCHECK',
        'ENTRYPOINT',
        'CMD',
      ],
    );
    assert.ok(instructions.includes('USER 65532:65532'));
    assert.match(text, /Not reproducible until the base has a digest/);
  });

  it('takes a base by its digest, and then has nothing to warn of', async () => {
    const options = { baseImage: BASE };
    const files = await render(subject(), { target: 'docker', textOnly: true, options });
    assert.match(textOf(files, 'Dockerfile'), new RegExp(`^FROM ${BASE}$`, 'm'));
    assert.doesNotMatch(textOf(files, 'Dockerfile'), /Not reproducible/);
  });

  it('has no compiler, bundler or package manager', async () => {
    const files = await render(subject(), { target: 'docker', textOnly: true });
    const tools = files.filter(({ path }) =>
      /node_modules\/(?:esbuild|typescript|npm|node-gyp)\//.test(path),
    );
    assert.deepEqual(
      tools.map(({ path }) => path),
      [],
    );
  });

  it('has ONNX Runtime for one processor', async () => {
    const files = await render(subject(), {
      target: 'docker',
      textOnly: true,
      options: { architecture: 'x64' },
    });
    const runtimes = files.filter(({ path }) => path.includes('onnxruntime-node/bin/'));
    assert.ok(runtimes.length > 0 && runtimes.every(({ path }) => path.includes('/linux/x64/')));
  });

  const accelerators: readonly [string, Accelerator, readonly string[]][] = [
    ['cuda', Accelerator.CUDA, ['cuda']],
    ['tensorrt', Accelerator.TENSORRT, ['tensorrt', 'cuda']],
  ];
  for (const [name, accelerator, providers] of accelerators) {
    it(`asks serving.infer for ${name} in the model's configuration`, async () => {
      const files = await withAccelerator(accelerator);
      const config = readConfigText('digits', textOf(files, 'models/digits/config.pbtxt'));
      assert.deepEqual(sessionSettings('digits', config).executionProviders, providers);
      assert.match(textOf(files, 'Dockerfile'), /ONNXRUNTIME_NODE_INSTALL=cuda12/);
    });

    it(`needs an image to build on for ${name}`, async () => {
      await assert.rejects(withAccelerator(accelerator, ''), /needs the option baseImage/);
    });
  }

  it('leaves providers alone on a processor', async () => {
    const files = await render(subject(), { target: 'docker', textOnly: true });
    const config = readConfigText('digits', textOf(files, 'models/digits/config.pbtxt'));
    assert.deepEqual(sessionSettings('digits', config).executionProviders, undefined);
  });

  it('says what to install for another processor', async () => {
    const options = { architecture: process.arch === 'arm64' ? 'x64' : 'arm64' };
    await assert.rejects(
      render(subject(), { target: 'docker', textOnly: true, options }),
      /lmdb-linux-(?:x64|arm64)'[\s\S]*npm install --force --prefix FOLDER --os=linux --cpu=/,
    );
  });
});
