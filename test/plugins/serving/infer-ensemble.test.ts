import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { create } from '@bufbuild/protobuf';
import { Code } from 'lamella/sdk';
import {
  ModelInferRequestSchema,
  type ModelRepositoryParameter,
  RepositoryModelUnloadRequestSchema,
} from 'lamella/proto/inference/grpc_inference_service';
import { readConfigText } from '../../../plugins/serving/infer/config-text.ts';
import { completeEnsemble } from '../../../plugins/serving/infer/ensemble-plan.ts';
import { addModel, callContext } from './infer-fixture.ts';
import { type InferInit, InferSubject, rawRequest, rejection } from './infer-subject.ts';

/** A step from one tensor of the ensemble to another; `copy` and `sum` are outputs of the model. */
const step = (model: string, from: string, maps: string): string =>
  `step { model_name: "${model}" model_version: -1 input_map { key: "x" value: "${from}" } ${maps} }`;
const out = (key: string, value: string): string => `output_map { key: "${key}" value: "${value}" }`;
const ports = `max_batch_size: 8 input { name: "x" data_type: TYPE_UINT8 dims: 2 }
  output { name: "sum" data_type: TYPE_FP32 dims: 2 }`;

describe('ensembles of serving.infer', function () {
  this.timeout(60_000);
  let folder: string;
  let subject: InferSubject;

  const put = async (file: string, content: string | Uint8Array): Promise<void> => {
    const target = path.join(folder, file);
    await mkdir(path.dirname(target), { recursive: true });
    await writeFile(target, content);
  };
  const putEnsemble = async (name: string, steps: string, head: string = ports): Promise<void> => {
    await put(`${name}/config.pbtxt`, `platform: "ensemble" ${head} ensemble_scheduling { ${steps} }`);
    await mkdir(path.join(folder, name, '1'), { recursive: true });
  };
  const unload = (modelName: string, withDependents: boolean): unknown => {
    const parameterChoice = { case: 'boolParam' as const, value: withDependents };
    const parameters: Record<string, Pick<ModelRepositoryParameter, 'parameterChoice'>> = {
      unload_dependents: { parameterChoice },
    };
    const request = create(RepositoryModelUnloadRequestSchema, { modelName, parameters });
    return subject.service.repositoryModelUnload(request, callContext());
  };
  const names = (): string[] => subject.repository.loaded().map(({ shape }) => shape.name);
  const ask = (modelName: string): Promise<number[]> =>
    subject.infer(rawRequest([1, 2, 3, 4], { modelName }));

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'lamella-models-'));
    subject = new InferSubject(undefined, { modelRepositories: [folder] });
    await put('one/1/model.onnx', addModel(1));
    await put('two/1/model.onnx', addModel(2));
  });
  afterEach(async () => {
    await subject.repository.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('run their steps as a graph, whatever the order, and load the models of the steps', async () => {
    // Two steps hang on the first one, which stands last.
    const steps = [
      step('two', 'middle', out('sum', 'sum')),
      step('one', 'middle', out('sum', 'other')),
      step('one', 'x', out('copy', 'middle')),
    ];
    const head = `${ports} output { name: "other" data_type: TYPE_FP32 dims: 2 }`;
    await putEnsemble('both', steps.join(' '), head);
    await subject.loadWith('both');
    assert.deepEqual(await ask('both'), [3, 4, 5, 6]);
    const answer = await subject.infer(
      rawRequest([1, 2], { modelName: 'both', outputs: [{ name: 'other' }] }),
    );
    assert.deepEqual(answer, [2, 3]);
    assert.deepEqual(names(), ['two', 'one', 'both']);
    const { statistics, shape } = subject.repository.get('both');
    assert.equal(statistics.snapshot(shape).inferenceCount, 3n);
  });

  describe('with conditions', () => {
    const conditions = (value: object): string =>
      `parameters { key: "conditions" value { string_value: '${JSON.stringify(value)}' } }`;
    const sum = out('sum', 'sum');
    const copy = step('one', 'x', out('copy', 'middle'));
    const details = `${ports} output { name: "details" data_type: TYPE_FP32 dims: 2 }`;
    const valuesOf = async (
      values: number[],
      parameters: InferInit['parameters'] = {},
    ): Promise<number[][]> => {
      const request = rawRequest(values, { modelName: 'both', parameters });
      const answer = await subject.service.modelInfer(
        create(ModelInferRequestSchema, request),
        callContext(),
      );
      return (answer.rawOutputContents ?? []).map((raw) => [...new Float32Array(new Uint8Array(raw).buffer)]);
    };

    it('run one of two steps, by what a tensor holds', async () => {
      const high = { tensor: 'middle', above: 9, of: 'any' };
      const steps = [copy, step('one', 'middle', sum), step('two', 'middle', sum)].join(' ');
      const choice = conditions({ steps: { 1: high, 2: { ...high, not: true } } });
      await putEnsemble('both', steps, `${ports} ${choice}`);
      await subject.loadWith('both');
      assert.deepEqual(await valuesOf([1, 2]), [[3, 4]]);
      assert.deepEqual(await valuesOf([1, 10]), [[2, 11]]);
      const { statistics, shape } = subject.repository.get('two');
      assert.equal(statistics.snapshot(shape).inferenceCount, 1n);
    });

    it('leave out what is optional, and all that hangs on it, by what a parameter says', async () => {
      const steps = [
        step('one', 'x', `${sum} ${out('copy', 'middle')}`),
        step('one', 'middle', out('copy', 'more')),
        step('two', 'more', out('sum', 'details')),
      ].join(' ');
      const full = conditions({ steps: { 1: { parameter: 'full', equals: true } }, optional: ['details'] });
      // Answers may be kept, but these depend on more than the inputs.
      await putEnsemble('both', steps, `${details} ${full} response_cache { enable: true }`);
      await subject.loadWith('both');
      assert.deepEqual(await valuesOf([1, 2]), [[2, 3]]);
      const asked = { full: { parameterChoice: { case: 'boolParam' as const, value: true } } };
      assert.deepEqual(await valuesOf([1, 2], asked), [
        [2, 3],
        [3, 4],
      ]);
    });

    const wrong: readonly { what: string; value: object; text: RegExp }[] = [
      {
        what: 'an output that may lack',
        value: { steps: { 1: { tensor: 'middle', above: 1 } } },
        text: /output 'sum' is not given where a condition does not hold/,
      },
      { what: 'an unknown step', value: { steps: { 2: {} } }, text: /the steps are 0 to 1/ },
      { what: 'no comparison', value: { steps: { 1: { tensor: 'middle' } } }, text: /needs one of 'equals'/ },
      {
        what: 'nothing to compare',
        value: { steps: { 1: { above: 1 } } },
        text: /needs a 'tensor' or a 'parameter'/,
      },
      { what: 'an unknown word', value: { steps: { 1: { tensor: 'x', over: 1 } } }, text: /has 'over'/ },
      {
        what: 'an unknown tensor',
        value: { steps: { 1: { tensor: 'y', above: 1 } } },
        text: /gives tensor 'y'/,
      },
      {
        what: 'its own tensor',
        value: { steps: { 1: { tensor: 'sum', above: 1 } } },
        text: /wait for each other/,
      },
      { what: 'an unknown output', value: { optional: ['y'] }, text: /needs a list of outputs/ },
    ];
    for (const { what, value, text } of wrong) {
      it(`are refused with ${what}`, () => {
        const steps = [copy, step('two', 'middle', sum)].join(' ');
        const config = `${ports} ${conditions(value)} ensemble_scheduling { ${steps} }`;
        assert.throws(() => completeEnsemble('both', readConfigText('both', config)), text);
      });
    }
  });

  it('take the models of their steps away on request, but none that others need', async () => {
    await putEnsemble('first', step('one', 'x', out('sum', 'sum')));
    await putEnsemble(
      'second',
      `${step('one', 'x', out('copy', 'middle'))} ${step('two', 'middle', out('sum', 'sum'))}`,
    );
    await subject.loadWith('first');
    await subject.loadWith('second');
    await unload('second', true);
    assert.deepEqual(names(), ['one', 'first']);
    await unload('first', false);
    assert.deepEqual(names(), ['one']);
  });

  it('say what a step says, and go on when its model is back', async () => {
    await putEnsemble('first', step('one', 'x', out('sum', 'sum')));
    await subject.loadWith('first');
    await unload('one', false);
    const { code, message } = await rejection(() => ask('first'));
    assert.equal(code, Code.NOT_FOUND);
    assert.match(message, /'one'/);
    await subject.loadWith('one');
    assert.deepEqual(await ask('first'), [2, 3, 4, 5]);
  });

  it('that call themselves are stopped', async () => {
    await putEnsemble('first', step('one', 'x', out('sum', 'sum')));
    await putEnsemble('second', step('first', 'x', out('sum', 'sum')));
    assert.match(
      (await rejection(() => subject.loadWith('second'))).message,
      /an ensemble within an ensemble/,
    );
    await subject.loadWith('first');
    await subject.loadWith('second');
    assert.deepEqual(await ask('second'), [2, 3, 4, 5]);
    await putEnsemble('first', step('second', 'x', out('sum', 'sum')));
    await subject.loadWith('first');
    const { code, message } = await rejection(() => ask('second'));
    assert.equal(code, Code.INVALID_ARGUMENT);
    assert.match(message, /one calls itself/);
  });

  const wrong: readonly { what: string; steps: string; text: RegExp }[] = [
    { what: 'no steps', steps: '', text: /needs 1 to/ },
    {
      what: 'an input from nowhere',
      steps: step('one', 'q', out('sum', 'sum')),
      text: /no step of the ensemble gives tensor 'q'/,
    },
    { what: 'an output from nowhere', steps: step('one', 'x', out('sum', 'q')), text: /gives tensor 'sum'/ },
    {
      what: 'a tensor twice',
      steps: step('one', 'x', `${out('sum', 'sum')} ${out('copy', 'sum')}`),
      text: /'sum' of the ensemble is given more than once/,
    },
    {
      what: 'a circle',
      steps: `${step('one', 'b', out('copy', 'a'))} ${step('two', 'a', `${out('copy', 'b')} ${out('sum', 'sum')}`)}`,
      text: /wait for each other/,
    },
    { what: 'an unknown model', steps: step('none', 'x', out('sum', 'sum')), text: /no models\/none/ },
  ];
  for (const { what, steps, text } of wrong) {
    it(`are refused with ${what}`, async () => {
      await putEnsemble('bad', steps);
      const { message } = await rejection(() => subject.loadWith('bad'));
      assert.match(message, /^failed to load/);
      assert.match(message, text);
    });
  }
});
