import assert from 'node:assert/strict';
import { create } from '@bufbuild/protobuf';
import { isDeclaredError } from 'lamella/sdk';
import { ListTargetsRequestSchema } from 'lamella/proto/lamella/serving/v1/deploy_service';
import { fakeContext } from '../../../support/fake-host.ts';
import { MODEL_BYTES, type Rendered, render, subject } from './deploy-subject.ts';

const TARGETS: readonly string[] = ['docker', 'edge', 'helm', 'kserve', 'kubernetes', 'local'];

async function refusal(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => assert.fail('it was taken'),
    (thrown: unknown) => thrown,
  );
  assert.ok(isDeclaredError(error), String(error));
  return error.reason;
}

describe('every target of serving.deploy', function () {
  this.timeout(60_000);

  it('is in this list', async () => {
    const { targets = [] } = await subject().listTargets(create(ListTargetsRequestSchema), fakeContext());
    assert.deepEqual(
      targets.map(({ name }) => name),
      TARGETS,
    );
  });

  for (const target of TARGETS) {
    describe(target, () => {
      let files: Rendered[];

      before(async () => {
        files = await render(subject(), { target });
      });

      it('is given files with paths that stay in their folder, each once', () => {
        assert.ok(files.length > 0);
        const paths = files.map(({ path }) => path);
        assert.equal(new Set(paths).size, paths.length);
        assert.deepEqual(
          paths.filter(
            (path) => !/^[\w@+-][\w@.+-]*(?:\/[\w@+.-][\w@.+-]*)*$/.test(path) || path.includes('..'),
          ),
          [],
        );
      });

      it('says the true size of each file', () => {
        assert.deepEqual(
          files.filter(({ sizeBytes, bytes }) => sizeBytes !== bytes.length).map(({ path }) => path),
          [],
        );
      });

      it('is given the same for the same plan', async () => {
        const again = await render(subject(), { target });
        assert.deepEqual(
          again.map(({ path }) => path),
          files.map(({ path }) => path),
        );
        assert.ok(again.every(({ bytes }, index) => bytes.equals(files[index]?.bytes ?? Buffer.alloc(0))));
      });

      it('leaves out what is no text when only text is asked for', async () => {
        const text = await render(subject(), { target, textOnly: true });
        assert.deepEqual(
          text.map(({ path, bytes }) => [path, bytes.length]),
          files.map(({ path, isText, bytes }) => [path, isText ? bytes.length : 0]),
        );
      });

      it('carries whole models', () => {
        for (const { path, bytes } of files.filter((file) => file.path.endsWith('.onnx'))) {
          assert.ok(bytes.equals(MODEL_BYTES), path);
        }
      });

      it('refuses options that it does not have, and specs that are wrong', async () => {
        assert.equal(
          await refusal(render(subject(), { target, options: { colour: 'red' } })),
          'OPTIONS_INVALID',
        );
        const spec = { name: 'Not A Name', scale: { minReplicas: -1, queueDepth: 2_000_000_000 } };
        assert.equal(await refusal(render(subject(), { target, spec })), 'SPEC_INVALID');
      });
    });
  }
});
