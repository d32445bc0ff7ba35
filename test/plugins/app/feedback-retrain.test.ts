import assert from 'node:assert/strict';
import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  FeedbackService,
  type RetrainResponse,
  RetrainStage,
  RetrainState,
} from 'lamella/proto/lamella/app/v1/feedback_service';
import type { RecipeSchema } from 'lamella/proto/lamella/app/v1/recipe';
import { DataType } from 'lamella/proto/lamella/data/v1/dataset';
import { DeploymentState } from 'lamella/proto/lamella/serving/v1/deploy_service';
import { type Client, isHoldout } from 'lamella/sdk';
import { decodeArrow } from 'lamella/sdk/arrow';
import type { FeedbackConfig } from '../../../plugins/app/feedback/config.ts';
import { holdoutSql } from '../../../plugins/app/feedback/holdout-sql.ts';
import feedbackPlugin from '../../../plugins/app/feedback/plugin.ts';
import { FakeHost } from '../../support/fake-host.ts';
import { BASE, collected, correction, FeedbackServices, reason } from './feedback-services.ts';

const ALIAS = 'models/dots/aliases/champion';
const RECIPE: MessageInitShape<typeof RecipeSchema> = {
  datasetVersion: BASE,
  featureColumn: 'image',
  labelColumn: 'label',
  classes: 3,
};

describe('retraining', () => {
  let host: FakeHost<FeedbackConfig>;
  let services: FeedbackServices;
  let client: Client<typeof FeedbackService>;

  beforeEach(async () => {
    host = new FakeHost<FeedbackConfig>({
      config: { maxFeedbackBytes: 64, servingAlias: 'champion' },
      nowMs: 1_000,
    });
    services = new FeedbackServices();
    services.provideTo(host as FakeHost);
    client = (await host.start(feedbackPlugin)).client(FeedbackService);
  });
  afterEach(() => host.close());

  async function record(more: Parameters<typeof correction>[0] = {}): Promise<void> {
    await client.recordFeedback(correction(more));
  }

  describe('as a run of stages', () => {
    function retrain(more: object = { recipe: RECIPE }): AsyncIterable<RetrainResponse> {
      return client.retrain({ model: 'dots', ...more });
    }

    async function result(more?: object): Promise<NonNullable<RetrainResponse['result']>> {
      const last = (await collected(retrain(more))).at(-1)?.result;
      assert.ok(last !== undefined);
      return last;
    }

    it('puts the first version of a model into service after all stages in order', async () => {
      const events = await collected(retrain());
      const started = events.filter(({ state }) => state === RetrainState.STARTED).map(({ stage }) => stage);
      assert.deepEqual(started, [
        RetrainStage.COLLECT,
        RetrainStage.CLEAN,
        RetrainStage.PREPROCESS,
        RetrainStage.QUALITY,
        RetrainStage.TRAIN,
        RetrainStage.EVALUATE,
        RetrainStage.REGISTER,
        RetrainStage.DEPLOY,
      ]);
      const skipped = events.filter(({ state }) => state === RetrainState.SKIPPED);
      assert.deepEqual(
        skipped.map(({ stage }) => stage),
        [RetrainStage.COMPARE],
      );
      const outcome = events.at(-1)?.result;
      assert.equal(outcome?.promoted, true);
      assert.equal(outcome.incumbentAccuracy, undefined);
      assert.equal(outcome.feedbackRows, 0n);
      assert.equal(services.aliases.get(ALIAS), 'models/dots/versions/1');
      assert.ok(services.calls.includes('deploy models/dots/versions/1'));
    });

    it('replaces the version in service by one that is as good, with the recipe kept with it', async () => {
      await result();
      const outcome = await result({});
      assert.equal(outcome.promoted, true);
      assert.equal(outcome.incumbentVersion, 'models/dots/versions/1');
      assert.equal(outcome.incumbentAccuracy, 0.9);
      assert.equal(services.aliases.get(ALIAS), 'models/dots/versions/2');
    });

    it('measures both versions on the same hold-out of the same data', async () => {
      await result();
      services.evaluated.length = 0;
      await result({});
      assert.deepEqual(
        services.evaluated.map(({ model }) => model),
        ['onnx', 'modelVersion'],
      );
      const [one, other] = services.evaluated;
      assert.deepEqual([one?.datasetVersion, one?.share], [other?.datasetVersion, other?.share]);
      assert.equal(one?.share, 0.2);
    });

    it('lets preprocessing learn from no row of the hold-out', async () => {
      await result({ recipe: { ...RECIPE, split: { keyColumn: 'key', seed: 3 } } });
      assert.deepEqual(services.rowFilters, [`NOT (${holdoutSql('key', 0.2, 3)})`]);
    });

    it('registers a worse version and leaves the one in service', async () => {
      await result();
      services.accuracy = 0.89;
      const outcome = await result({});
      assert.equal(outcome.promoted, false);
      assert.match(outcome.reason, /^worse than the version in service: 89\.00 % against 90\.00 %/);
      assert.ok(services.versions.has('models/dots/versions/2'));
      assert.equal(services.aliases.get(ALIAS), 'models/dots/versions/1');
      assert.ok(!services.calls.includes('deploy models/dots/versions/2'));
    });

    it('lets a worse version pass that is within the tolerance of the recipe', async () => {
      await result();
      services.accuracy = 0.89;
      assert.equal((await result({ recipe: { ...RECIPE, tolerance: 0.02 } })).promoted, true);
    });

    it('registers only when that was asked', async () => {
      assert.equal((await result({ recipe: RECIPE, registerOnly: true })).promoted, false);
      assert.equal(services.aliases.size, 0);
    });

    it('trains nothing on data that fails the quality gate', async () => {
      services.failures = ['99 rows instead of 100'];
      const events: RetrainResponse[] = [];
      await assert.rejects(
        async () => {
          for await (const event of retrain()) events.push(event);
        },
        reason('QUALITY_GATE_FAILED', /row_count: 99 rows/),
      );
      assert.equal(events.at(-1)?.stage, RetrainStage.QUALITY);
      assert.equal(events.at(-1)?.state, RetrainState.FAILED);
      assert.ok(!services.calls.includes('train'));
      const status = await client.getRetrainStatus({ model: 'dots' });
      assert.equal(status.running, false);
      assert.match(status.failure, /row_count: 99 rows/);
    });

    it('does not show the text of an error that nobody declared', async () => {
      services.beforeTrained = () => Promise.reject(new Error('password=1'));
      await assert.rejects(collected(retrain()));
      assert.doesNotMatch((await client.getRetrainStatus({ model: 'dots' })).failure, /password/);
    });

    it('leaves the alias when the new version does not come into service', async () => {
      services.deployState = DeploymentState.FAILED;
      await assert.rejects(collected(retrain()), reason('STAGE_INCOMPLETE'));
      assert.equal(services.aliases.size, 0);
    });

    it('refuses a second run of a model while one is going on, and allows it after', async () => {
      let goOn = (): void => undefined;
      let first: Promise<unknown> | undefined;
      await new Promise<void>((reached) => {
        services.beforeTrained = async () => {
          const gate = new Promise<void>((resolve) => (goOn = resolve));
          reached();
          await gate;
        };
        first = collected(retrain());
      });
      await assert.rejects(collected(retrain()), reason('RETRAIN_RUNNING'));
      assert.equal((await client.getRetrainStatus({ model: 'dots' })).running, true);
      services.beforeTrained = () => Promise.resolve();
      goOn();
      await first;
      assert.equal((await result({})).promoted, true);
    });

    it('lets a repeat with the same id follow the run, from its beginning to its end', async () => {
      let goOn = (): void => undefined;
      let first: Promise<RetrainResponse[]> | undefined;
      await new Promise<void>((reached) => {
        services.beforeTrained = async () => {
          const gate = new Promise<void>((resolve) => (goOn = resolve));
          reached();
          await gate;
        };
        first = collected(retrain({ recipe: RECIPE, requestId: 'r' }));
      });
      await assert.rejects(
        collected(retrain({ recipe: RECIPE, requestId: 'other' })),
        reason('RETRAIN_RUNNING'),
      );
      const second = collected(retrain({ recipe: RECIPE, requestId: 'r' }));
      goOn();
      assert.deepEqual(await second, await first);
      assert.equal(services.versions.size, 1);
    });

    it('ends the training and allows the next run when its reader goes away', async () => {
      for await (const { stage, state } of retrain()) {
        if (stage === RetrainStage.TRAIN && state === RetrainState.PROGRESS) break;
      }
      assert.equal(services.trainEnded, true);
      assert.equal(services.versions.size, 0);
      assert.equal((await client.getRetrainStatus({ model: 'dots' })).running, false);
      assert.equal((await result()).promoted, true);
    });

    it('needs a recipe for a model that was never trained', async () => {
      await assert.rejects(collected(retrain({})), reason('RECIPE_MISSING'));
    });

    const broken: readonly [string, MessageInitShape<typeof RecipeSchema>, RegExp][] = [
      ['a dataset version without a name', { datasetVersion: 'dots' }, /'dots' is not the name/],
      ['no label column', { labelColumn: '' }, /label_column/],
      ['one class', { classes: 1 }, /2 or more/],
      ['labels for some classes', { classLabels: ['one'] }, /class_labels/],
      ['a hold-out of everything', { split: { holdoutShare: 1 } }, /holdout_share 1/],
    ];
    for (const [what, more, problem] of broken) {
      it(`refuses a recipe with ${what} before any stage`, async () => {
        const recipe = { ...RECIPE, ...more };
        await assert.rejects(collected(retrain({ recipe })), reason('RECIPE_INVALID', problem));
        assert.deepEqual(services.calls, []);
      });
    }
  });

  describe('as training rows', () => {
    it('trains on feedback that fits the dataset, never in the hold-out', async () => {
      for (let count = 0; count < 200; count += 1) await record();
      await record({ correct: 'nonsense' });
      await record({ input: { name: 'image', datatype: 'UINT8', shape: [1n], data: Uint8Array.of(1) } });
      const split = { holdoutShare: 0.5, seed: 7 };
      const events = await collected(client.retrain({ model: 'dots', recipe: { ...RECIPE, split } }));
      assert.equal(events.at(-1)?.result?.feedbackRows, 200n);
      assert.ok(services.calls.includes('clean datasets/dots-with-feedback/versions/1'));
      const [batch] = decodeArrow(services.written[0] ?? new Uint8Array()).batches;
      const column = (name: string): readonly unknown[] =>
        Array.from((batch?.columns.find((found) => found.name === name)?.values ?? []) as Iterable<unknown>);
      const keys = column('id') as readonly number[];
      assert.equal(new Set(keys).size, 200);
      assert.deepEqual(
        keys.filter((key) => isHoldout(key, 0.5, 7)),
        [],
      );
      assert.deepEqual(column('image').slice(0, 4), [1, 2, 3, 4]);
      assert.deepEqual(new Set(column('label')), new Set([2]));
    });

    it('counts as pending until a training has looked at it', async () => {
      const pending = async (): Promise<bigint> =>
        (await client.getRetrainStatus({ model: 'dots' })).pendingFeedback;
      await record();
      await record();
      assert.equal(await pending(), 2n);
      await collected(client.retrain({ model: 'dots', recipe: RECIPE }));
      assert.equal(await pending(), 0n);
      await record();
      assert.equal(await pending(), 1n);
    });

    it('refuses a dataset whose columns it cannot fill, by name', async () => {
      await record();
      services.fields = services.fields.map((field) =>
        field.name === 'label' ? { ...field, type: DataType.INT64 } : field,
      );
      const run = collected(client.retrain({ model: 'dots', recipe: RECIPE }));
      await assert.rejects(run, reason('RECIPE_INVALID', /'label' has type INT32/));
    });
  });
});
