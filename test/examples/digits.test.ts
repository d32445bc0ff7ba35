import assert from 'node:assert/strict';
import { create, type DescService, type MessageInitShape } from '@bufbuild/protobuf';
import { runDigitsExample } from '../../examples/digits/run-digits-example.ts';
import type { ServiceCaller } from '../../examples/digits/service-caller.ts';
import type { StageReporter } from '../../examples/digits/stage-reporter.ts';
import { GRPCInferenceService } from '../../proto/gen/inference/grpc_inference_service_pb.ts';
import {
  FeedbackService,
  RetrainResponseSchema,
  RetrainStage,
  RetrainState,
} from '../../proto/gen/lamella/app/v1/feedback_service_pb.ts';
import { CollectResponseSchema, CollectService } from '../../proto/gen/lamella/data/v1/collect_service_pb.ts';
import { StoreService } from '../../proto/gen/lamella/data/v1/store_service_pb.ts';
import { RegistryService } from '../../proto/gen/lamella/model/v1/registry_service_pb.ts';
import { DeployService } from '../../proto/gen/lamella/serving/v1/deploy_service_pb.ts';
import { type Client, Code, DeclaredError } from '../../sdk/index.ts';

type Retrain = MessageInitShape<typeof RetrainResponseSchema>;

/** Services that answer what a test says, and remember which were called. */
class FakeServices implements ServiceCaller {
  readonly called: string[] = [];
  readonly #answers = new Map<string, Record<string, (request: unknown) => unknown>>();

  on(service: DescService, methods: Record<string, (request: unknown) => unknown>): this {
    this.#answers.set(service.typeName, methods);
    return this;
  }

  call<Service extends DescService>(service: Service): Client<Service> {
    const methods =
      this.#answers.get(service.typeName) ?? assert.fail(`${service.typeName} must not be called`);
    const recorded = Object.entries(methods).map(([name, answer]) => [
      name,
      (request: unknown) => {
        this.called.push(name);
        return answer(request);
      },
    ]);
    return Object.fromEntries(recorded) as Client<Service>;
  }
}

/** One line an event. */
class Lines implements StageReporter {
  readonly lines: string[] = [];

  started(name: string): void {
    this.lines.push(`${name} started`);
  }

  progress(name: string, { done, total, unit }: { done: number; total: number; unit: string }): void {
    this.lines.push(`${name} ${done}/${total} ${unit}`);
  }

  done(name: string, message: string): void {
    this.lines.push(`${name} done: ${message}`);
  }

  failed(name: string, message: string): void {
    this.lines.push(`${name} failed: ${message}`);
  }
}

const VERSION = {
  name: 'datasets/digits/versions/abc',
  fingerprint: 'abc',
  rowCount: 10_000n,
  sizeBytes: 8_388_608n,
};

async function* stream<Item>(...items: readonly Item[]): AsyncGenerator<Item> {
  yield* items;
}

function notFound(): never {
  throw new DeclaredError({ reason: 'VERSION_NOT_FOUND', code: Code.NOT_FOUND, message: 'There is none.' });
}

function freshServices(retrain: () => AsyncIterable<unknown>): FakeServices {
  return new FakeServices()
    .on(RegistryService, { getVersion: notFound })
    .on(CollectService, {
      collect: () =>
        stream(
          create(CollectResponseSchema, { rowsRead: 5000n, totalRows: 10_000n }),
          create(CollectResponseSchema, { rowsRead: 10_000n, totalRows: 10_000n, version: VERSION }),
        ),
    })
    .on(StoreService, { getVersion: async () => ({ version: VERSION }) })
    .on(FeedbackService, { retrain })
    .on(GRPCInferenceService, { modelReady: async () => ({ ready: true }) });
}

function change(stage: RetrainStage, state: RetrainState, more: Retrain = {}): unknown {
  return create(RetrainResponseSchema, { ...more, stage, state });
}

describe('the digits example', () => {
  it('walks a fresh home through all stages and reports the figures', async () => {
    const { TRAIN, COMPARE, DEPLOY } = RetrainStage;
    const { STARTED, PROGRESS, DONE, SKIPPED } = RetrainState;
    const result = { version: 'models/digits/versions/1', accuracy: 0.92, rows: 10_000n, holdoutRows: 2000n };
    const services = freshServices(() =>
      stream(
        change(TRAIN, STARTED),
        change(TRAIN, PROGRESS, { done: 1n, total: 10n, unit: 'epochs' }),
        change(TRAIN, DONE, { message: 'loss 0.3' }),
        change(COMPARE, SKIPPED, { message: 'no version in service' }),
        change(DEPLOY, STARTED),
        change(DEPLOY, DONE, { message: 'version 1', result }),
      ),
    );
    const reporter = new Lines();
    const report = await runDigitsExample(services, reporter);
    assert.deepEqual(reporter.lines, [
      'collect started',
      'collect 5000/10000 rows',
      'collect 10000/10000 rows',
      'collect done: 10,000 handwritten digits',
      'store started',
      'store done: 8.0 MiB as digits abc',
      'train started',
      'train 1/10 epochs',
      'train done: loss 0.3',
      'deploy started',
      'deploy done: version 1',
      'ready started',
      "ready done: model 'digits' answers",
    ]);
    const { wasInPlace, rows, holdoutRows, accuracy, modelVersion } = report;
    assert.deepEqual(
      { wasInPlace, rows, holdoutRows, accuracy, modelVersion },
      {
        wasInPlace: false,
        rows: 10_000,
        holdoutRows: 2000,
        accuracy: 0.92,
        modelVersion: 'models/digits/versions/1',
      },
    );
    assert.deepEqual(
      report.stages.map(({ name }) => name),
      ['collect', 'store', 'train', 'deploy', 'ready'],
    );
  });

  it('does nothing but ask when the model is registered and answers', async () => {
    const services = new FakeServices()
      .on(RegistryService, {
        getVersion: async () => ({ version: { name: 'models/digits/versions/3', metrics: {} } }),
      })
      .on(GRPCInferenceService, { modelReady: async () => ({ ready: true }) });
    const report = await runDigitsExample(services, new Lines());
    assert.equal(report.wasInPlace, true);
    assert.equal(report.modelVersion, 'models/digits/versions/3');
    assert.deepEqual([...new Set(services.called)], ['getVersion', 'modelReady']);
  });

  it('deploys a registered model that does not answer yet', async () => {
    const ready = [false, true];
    const services = new FakeServices()
      .on(RegistryService, {
        getVersion: async () => ({ version: { name: 'models/digits/versions/3', metrics: {} } }),
      })
      .on(GRPCInferenceService, { modelReady: async () => ({ ready: ready.shift() ?? true }) })
      .on(DeployService, { deploy: () => stream({ deployment: { reason: '' } }) });
    await runDigitsExample(services, new Lines());
    assert.deepEqual(services.called, ['getVersion', 'modelReady', 'deploy', 'modelReady']);
  });

  it('names the stage that failed and passes the error on', async () => {
    const error = new DeclaredError({
      reason: 'QUALITY_GATE',
      code: Code.FAILED_PRECONDITION,
      message: 'Too few rows.',
    });
    const services = freshServices(async function* () {
      yield change(RetrainStage.QUALITY, RetrainState.STARTED);
      throw error;
    });
    const reporter = new Lines();
    await assert.rejects(runDigitsExample(services, reporter), error);
    assert.equal(reporter.lines.at(-1), 'quality failed: Too few rows.');
  });

  it('fails when the deployed model does not answer', async () => {
    const result = { version: 'models/digits/versions/1' };
    const services = freshServices(() =>
      stream(change(RetrainStage.DEPLOY, RetrainState.DONE, { result })),
    ).on(GRPCInferenceService, { modelReady: async () => ({ ready: false }) });
    await assert.rejects(runDigitsExample(services, new Lines()), /deployed but not ready/);
  });

  it('fails when a stream ends too early instead of claiming success', async () => {
    await assert.rejects(
      runDigitsExample(
        freshServices(() => stream()),
        new Lines(),
      ),
      /ended without a result/,
    );
    const services = freshServices(() => stream()).on(CollectService, { collect: () => stream() });
    await assert.rejects(runDigitsExample(services, new Lines()), /without a dataset version/);
  });
});
