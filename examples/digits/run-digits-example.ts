import { Code, isDeclaredError } from '../../sdk/index.ts';
import { FeedbackService, type RetrainResult } from '../../proto/gen/lamella/app/v1/feedback_service_pb.ts';
import { CollectService } from '../../proto/gen/lamella/data/v1/collect_service_pb.ts';
import type { DatasetVersion } from '../../proto/gen/lamella/data/v1/dataset_pb.ts';
import { StoreService } from '../../proto/gen/lamella/data/v1/store_service_pb.ts';
import type { ModelVersion } from '../../proto/gen/lamella/model/v1/model_pb.ts';
import { RegistryService } from '../../proto/gen/lamella/model/v1/registry_service_pb.ts';
import { DeployService } from '../../proto/gen/lamella/serving/v1/deploy_service_pb.ts';
import { GRPCInferenceService } from '../../proto/gen/inference/grpc_inference_service_pb.ts';
import { CHAMPION, DIGITS, type DigitsArchitecture, digitsRecipe } from './digits-recipe.ts';
import type { DigitsReport } from './digits-report.ts';
import { followRetrain } from './follow-retrain.ts';
import type { ServiceCaller } from './service-caller.ts';
import { StageClock } from './stage-clock.ts';
import type { StageReporter } from './stage-reporter.ts';

/** What a caller may choose. */
export interface DigitsOptions {
  /** What is trained; `linear` by default, the fastest. */
  readonly architecture?: DigitsArchitecture;
  readonly signal?: AbortSignal;
}

/** Rows to collect: all that the npm package has. */
const ROWS = 10_000n;

/**
 * Walks handwritten digits through all layers: collect, store, clean, preprocess, quality gate, train, evaluate,
 * register, deploy. A model that is there already is only put into service.
 *
 * @throws what the service of the failed stage declares; the reporter has been told which stage that was.
 */
export async function runDigitsExample(
  caller: ServiceCaller,
  reporter: StageReporter,
  { architecture = 'linear', ...options }: DigitsOptions = {},
): Promise<DigitsReport> {
  const clock = new StageClock(reporter);
  try {
    const champion = await findChampion(caller);
    if (champion !== undefined) return await serveChampion(caller, champion, clock);
    const dataset = await collect(caller, clock, options);
    const responses = caller
      .call(FeedbackService)
      .retrain({ model: DIGITS, recipe: digitsRecipe(dataset.name, architecture) }, options);
    const result = await followRetrain(responses, clock);
    await awaitReady(caller, clock);
    return reportOf(result, clock);
  } catch (error) {
    clock.failed((error as Error).message);
    throw error;
  }
}

async function findChampion(caller: ServiceCaller): Promise<ModelVersion | undefined> {
  try {
    return (await caller.call(RegistryService).getVersion({ name: CHAMPION })).version;
  } catch (error) {
    if (isDeclaredError(error) && error.code === Code.NOT_FOUND) return undefined;
    throw error;
  }
}

async function collect(
  caller: ServiceCaller,
  clock: StageClock,
  options: { readonly signal?: AbortSignal },
): Promise<DatasetVersion> {
  clock.start('collect');
  const source = { case: 'npmDigits', value: {} } as const;
  let collected: DatasetVersion | undefined;
  for await (const step of caller
    .call(CollectService)
    .collect({ dataset: DIGITS, source, limit: ROWS }, options)) {
    clock.progress({ done: Number(step.rowsRead), total: Number(step.totalRows || ROWS), unit: 'rows' });
    collected = step.version ?? collected;
  }
  if (collected === undefined)
    throw new Error('The collection ended without a dataset version; see the log.');
  clock.done(`${collected.rowCount.toLocaleString('en-US')} handwritten digits`);
  clock.start('store');
  const { version } = await caller.call(StoreService).getVersion({ name: collected.name }, options);
  const stored = version ?? collected;
  clock.done(
    `${(Number(stored.sizeBytes) / 1024 / 1024).toFixed(1)} MiB as ${DIGITS} ${stored.fingerprint.slice(0, 12)}`,
  );
  return stored;
}

/** Asks the inference service itself: a deployment is true only when callers get answers. */
async function awaitReady(caller: ServiceCaller, clock: StageClock): Promise<void> {
  clock.start('ready');
  const { ready } = await caller.call(GRPCInferenceService).modelReady({ name: DIGITS });
  if (!ready)
    throw new Error(`Model '${DIGITS}' is deployed but not ready; 'lamella plugin list' shows why.`);
  clock.done(`model '${DIGITS}' answers`);
}

async function serveChampion(
  caller: ServiceCaller,
  champion: ModelVersion,
  clock: StageClock,
): Promise<DigitsReport> {
  if (!(await isReady(caller))) {
    clock.start('deploy');
    let reason = '';
    for await (const { deployment } of caller.call(DeployService).deploy({ modelVersion: CHAMPION })) {
      reason = deployment?.reason ?? reason;
    }
    clock.done(reason === '' ? champion.name : reason);
  }
  await awaitReady(caller, clock);
  return {
    wasInPlace: true,
    rows: champion.metrics['rows'] ?? 0,
    holdoutRows: champion.metrics['holdout_rows'] ?? 0,
    accuracy: champion.metrics['accuracy'] ?? 0,
    samplesPerSecond: champion.metrics['samples_per_second'] ?? 0,
    modelSizeBytes: Number(champion.sizeBytes),
    modelVersion: champion.name,
    datasetVersion: champion.datasetVersion,
    stages: clock.times,
    durationMs: clock.durationMs,
  };
}

async function isReady(caller: ServiceCaller): Promise<boolean> {
  try {
    return (await caller.call(GRPCInferenceService).modelReady({ name: DIGITS })).ready;
  } catch (error) {
    if (isDeclaredError(error) && error.code === Code.NOT_FOUND) return false;
    throw error;
  }
}

function reportOf(result: RetrainResult, clock: StageClock): DigitsReport {
  return {
    wasInPlace: false,
    rows: Number(result.rows),
    holdoutRows: Number(result.holdoutRows),
    accuracy: result.accuracy,
    samplesPerSecond: result.samplesPerSecond,
    modelSizeBytes: Number(result.sizeBytes),
    modelVersion: result.version,
    datasetVersion: result.datasetVersion,
    stages: clock.times,
    durationMs: clock.durationMs,
  };
}
