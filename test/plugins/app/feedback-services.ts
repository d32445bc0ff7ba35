import assert from 'node:assert/strict';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  RecordFeedbackRequest,
  RecordFeedbackRequestSchema,
} from 'lamella/proto/lamella/app/v1/feedback_service';
import { CleanService } from 'lamella/proto/lamella/data/v1/clean_service';
import { DataType } from 'lamella/proto/lamella/data/v1/dataset';
import { EngineService } from 'lamella/proto/lamella/data/v1/engine_service';
import { PreprocessService } from 'lamella/proto/lamella/data/v1/preprocess_service';
import { QualityService } from 'lamella/proto/lamella/data/v1/quality_service';
import { StoreService } from 'lamella/proto/lamella/data/v1/store_service';
import { EvaluateService } from 'lamella/proto/lamella/model/v1/evaluate_service';
import { RegistryService } from 'lamella/proto/lamella/model/v1/registry_service';
import { TrainService } from 'lamella/proto/lamella/model/v1/train_service';
import { DeploymentState, DeployService } from 'lamella/proto/lamella/serving/v1/deploy_service';
import { Code, defineError, isDeclaredError, type ServiceImplementation } from 'lamella/sdk';
import type { FakeHost } from '../../support/fake-host.ts';

const VersionUnknown = defineError({
  reason: 'VERSION_UNKNOWN',
  code: Code.NOT_FOUND,
  message: ({ name }: { readonly name: string }) => `There is no '${name}'.`,
});

/** Dataset that the recipes of the tests name. */
export const BASE = 'datasets/dots/versions/1';

const SHAPE = [2n, 2n];
const FIELDS = [
  { name: 'id', type: DataType.INT32 },
  { name: 'image', type: DataType.UINT8, shape: SHAPE },
  { name: 'label', type: DataType.INT32 },
];

interface StoredVersion {
  readonly recipe: Record<string, never>;
  readonly accuracy: number;
}

/** Every service that the feedback loop calls, in memory; what they were asked for is kept for the tests. */
export class FeedbackServices {
  /** Accuracy that the next trained model has on the hold-out. */
  accuracy = 0.9;
  /** What a check of the data fails with; empty means that it passes. */
  failures: readonly string[] = [];
  /** Awaited by the trainer before it ends. */
  beforeTrained: () => Promise<void> = () => Promise.resolve();
  deployState: DeploymentState = DeploymentState.READY;
  fields: readonly { name: string; type: DataType; shape?: bigint[] }[] = FIELDS;
  /** Names of the calls, in order. */
  readonly calls: string[] = [];
  readonly written: Uint8Array[] = [];
  readonly rowFilters: string[] = [];
  readonly evaluated: { readonly model: unknown; readonly datasetVersion: string; readonly share: number }[] =
    [];
  readonly aliases: Map<string, string> = new Map();
  readonly versions: Map<string, StoredVersion> = new Map();
  trainEnded = false;

  /** Makes the host's calls reach these services. */
  provideTo(host: FakeHost): void {
    host
      .provide(StoreService, this.#store())
      .provide(EngineService, this.#engine())
      .provide(CleanService, this.#clean())
      .provide(PreprocessService, this.#preprocess())
      .provide(QualityService, this.#quality())
      .provide(TrainService, this.#train())
      .provide(EvaluateService, this.#evaluate())
      .provide(RegistryService, this.#registry())
      .provide(DeployService, this.#deploy());
  }

  #store(): ServiceImplementation<typeof StoreService> {
    return implement<typeof StoreService>({
      getVersion: async ({ name }) => {
        if (name !== BASE) throw new VersionUnknown({ name });
        return { version: { name, rowCount: 100n, schema: { fields: [...this.fields] } } };
      },
      writeVersion: async (requests) => {
        for await (const { part } of requests) if (part.case === 'arrowIpc') this.written.push(part.value);
        return { version: { name: 'datasets/dots-feedback/versions/1' } };
      },
    });
  }

  #engine(): ServiceImplementation<typeof EngineService> {
    return implement<typeof EngineService>({
      run: async function* ({ outputDataset }) {
        await Promise.resolve();
        yield { rows: 102n, version: { name: `datasets/${outputDataset}/versions/1`, rowCount: 102n } };
      },
    });
  }

  #clean(): ServiceImplementation<typeof CleanService> {
    const { calls } = this;
    return implement<typeof CleanService>({
      clean: async function* ({ version, outputDataset }) {
        await Promise.resolve();
        calls.push(`clean ${version}`);
        yield {
          rows: 99n,
          report: [{ rowsBefore: 100n, rowsAfter: 99n }],
          version: { name: `datasets/${outputDataset}/versions/1`, rowCount: 99n },
        };
      },
    });
  }

  #preprocess(): ServiceImplementation<typeof PreprocessService> {
    return implement<typeof PreprocessService>({
      fit: async ({ rowFilter }) => {
        this.rowFilters.push(rowFilter);
        return { pipeline: { id: 'pipeline' } };
      },
    });
  }

  #quality(): ServiceImplementation<typeof QualityService> {
    return implement<typeof QualityService>({
      check: async () => ({
        passed: this.failures.length === 0,
        results: this.failures.map((message) => ({ passed: false, rule: { kind: 'row_count' }, message })),
      }),
    });
  }

  #train(): ServiceImplementation<typeof TrainService> {
    const train = async function* (services: FeedbackServices): AsyncGenerator<object> {
      services.calls.push('train');
      try {
        yield { event: { case: 'progress', value: { step: 1n, totalSteps: 2n, loss: 0.5 } } };
        await services.beforeTrained();
        yield { event: { case: 'completed', value: { onnx: new Uint8Array(8), loss: 0.1 } } };
      } finally {
        services.trainEnded = true;
      }
    };
    return implement<typeof TrainService>({ train: () => train(this) as never });
  }

  #evaluate(): ServiceImplementation<typeof EvaluateService> {
    return implement<typeof EvaluateService>({
      evaluate: async ({ model, datasetVersion, split }) => {
        this.evaluated.push({ model: model.case, datasetVersion, share: split?.holdoutShare ?? 0 });
        const stored = model.case === 'modelVersion' ? this.versions.get(model.value)?.accuracy : undefined;
        return { accuracy: stored ?? this.accuracy, rows: 20n };
      },
    });
  }

  #registry(): ServiceImplementation<typeof RegistryService> {
    return implement<typeof RegistryService>({
      getVersion: async ({ name }) => {
        const target = this.aliases.get(name);
        const stored = target === undefined ? undefined : this.versions.get(target);
        if (target === undefined || stored === undefined) throw new VersionUnknown({ name });
        return { version: { name: target, model: 'dots', recipe: stored.recipe } };
      },
      createVersion: async (requests) => {
        const name = `models/dots/versions/${this.versions.size + 1}`;
        let sizeBytes = 0n;
        for await (const { part } of requests) {
          if (part.case === 'chunk') sizeBytes += BigInt(part.value.byteLength);
          if (part.case !== 'header') continue;
          const recipe = (part.value.recipe ?? {}) as Record<string, never>;
          this.versions.set(name, { recipe, accuracy: this.accuracy });
        }
        return { version: { name, model: 'dots', sizeBytes } };
      },
      setAlias: async ({ name, version }) => {
        this.aliases.set(name, version);
        return {};
      },
    });
  }

  #deploy(): ServiceImplementation<typeof DeployService> {
    const deploy = async function* (services: FeedbackServices, version: string): AsyncGenerator<object> {
      await Promise.resolve();
      services.calls.push(`deploy ${version}`);
      yield { deployment: { state: services.deployState } };
    };
    return implement<typeof DeployService>({
      deploy: ({ modelVersion }) => deploy(this, modelVersion) as never,
    });
  }
}

/** Only what the loop calls. */
function implement<Service extends Parameters<FakeHost['implementation']>[0]>(
  parts: Partial<ServiceImplementation<Service>>,
): ServiceImplementation<Service> {
  return parts as ServiceImplementation<Service>;
}

/** Test of a declared error. */
export function reason(expected: string, problem: RegExp = /./): (error: unknown) => boolean {
  return (error) => {
    assert.equal(isDeclaredError(error) ? error.reason : error, expected);
    assert.match((error as Error).message, problem);
    return true;
  };
}

type RecordInit = Exclude<MessageInitShape<typeof RecordFeedbackRequestSchema>, RecordFeedbackRequest>;

/** A correction of a model `dots` that its dataset has room for. */
export function correction(more: Partial<RecordInit> = {}): RecordInit {
  const input = { name: 'image', datatype: 'UINT8', shape: [2n, 2n], data: Uint8Array.of(1, 2, 3, 4) };
  return { model: 'dots', predicted: '1', correct: '2', input, ...more };
}

/** All items of a stream. */
export async function collected<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = [];
  for await (const item of items) list.push(item);
  return list;
}
