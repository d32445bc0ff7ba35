import { durationMs } from '@bufbuild/protobuf/wkt';
import type { FittedPipeline } from 'lamella/proto/lamella/data/v1/pipeline';
import type { EvaluateResponse } from 'lamella/proto/lamella/model/v1/evaluate_service';
import type { ModelVersion } from 'lamella/proto/lamella/model/v1/model';
import type { TrainCompleted } from 'lamella/proto/lamella/model/v1/train_service';
import { type Deployment, DeploymentState } from 'lamella/proto/lamella/serving/v1/deploy_service';
import type { StageContext } from './data-stages.ts';
import { StageIncomplete } from './errors.ts';
import { recipeToStruct } from './recipe.ts';
import type { StageWork } from './stages.ts';

/** Size of one piece of a model sent to the registry, in bytes: well below every message limit. */
const CHUNK_BYTES = 1024 * 1024;

/** Trains the recipe's architecture. */
export async function* train(
  { services, checked, options }: StageContext,
  { version, pipeline }: { readonly version: string; readonly pipeline: FittedPipeline },
): StageWork<TrainCompleted> {
  const { recipe, split } = checked;
  const request = {
    datasetVersion: version,
    architecture: recipe.architecture,
    pipeline,
    featureColumn: recipe.featureColumn,
    labelColumn: recipe.labelColumn,
    classes: recipe.classes,
    classLabels: recipe.classLabels,
    split,
    engine: recipe.engine,
    ...(recipe.parameters === undefined ? {} : { parameters: recipe.parameters }),
    ...(recipe.hyperparameters === undefined ? {} : { hyperparameters: recipe.hyperparameters }),
  };
  let completed: TrainCompleted | undefined;
  for await (const { event } of services.train.train(request, options)) {
    if (event.case === 'completed') completed = event.value;
    if (event.case !== 'progress') continue;
    const { step, totalSteps, loss, epoch, samplesPerSecond } = event.value;
    yield {
      done: Number(step),
      total: Number(totalSteps),
      unit: 'steps',
      metrics: { loss, epoch, samplesPerSecond },
    };
  }
  if (completed === undefined) throw new StageIncomplete({ stage: 'train' });
  const { loss, samplesPerSecond, duration } = completed;
  const seconds = duration === undefined ? 0 : durationMs(duration) / 1_000;
  const rate = Math.round(samplesPerSecond).toLocaleString('en-US');
  return {
    result: completed,
    message: `loss ${loss.toFixed(4)}, ${rate} samples/s`,
    metrics: { loss, samplesPerSecond, seconds, trainingRows: Number(completed.trainingRows) },
  };
}

/** Measures a model on the hold-out of a dataset version. */
export async function* evaluate(
  { services, checked, options }: StageContext,
  model:
    | { readonly onnx: Uint8Array; readonly version: string }
    | { readonly modelVersion: string; readonly version: string },
): StageWork<EvaluateResponse> {
  const { recipe, split } = checked;
  yield { done: 0, total: 1, unit: 'models' };
  const result = await services.evaluate.evaluate(
    {
      model:
        'onnx' in model
          ? { case: 'onnx', value: model.onnx }
          : { case: 'modelVersion', value: model.modelVersion },
      datasetVersion: model.version,
      featureColumn: recipe.featureColumn,
      labelColumn: recipe.labelColumn,
      classes: recipe.classes,
      split,
    },
    options,
  );
  const { accuracy, rows, logLoss, calibrationError } = result;
  return {
    result,
    message: `accuracy ${percent(accuracy)} on ${rows} rows held out`,
    metrics: { accuracy, logLoss, calibrationError, rows: Number(rows) },
  };
}

/** What is kept of a training. */
export interface Candidate {
  readonly model: string;
  readonly completed: TrainCompleted;
  readonly evaluation: EvaluateResponse;
  readonly datasetVersion: string;
}

/** Puts a model version into the registry. */
export async function* register(
  { services, checked, options }: StageContext,
  candidate: Candidate,
): StageWork<ModelVersion> {
  const { completed, evaluation } = candidate;
  const { onnx, signature } = completed;
  yield { done: 0, total: onnx.byteLength, unit: 'bytes' };
  async function* parts(): AsyncGenerator<{
    part: { case: 'header'; value: object } | { case: 'chunk'; value: Uint8Array };
  }> {
    yield {
      part: {
        case: 'header',
        value: {
          model: candidate.model,
          ...(signature === undefined ? {} : { signature }),
          metrics: { accuracy: evaluation.accuracy, logLoss: evaluation.logLoss, loss: completed.loss },
          datasetVersion: candidate.datasetVersion,
          labels: { architecture: checked.recipe.architecture },
          recipe: recipeToStruct(checked.recipe),
        },
      },
    };
    for (let start = 0; start < onnx.byteLength; start += CHUNK_BYTES) {
      yield { part: { case: 'chunk', value: onnx.subarray(start, start + CHUNK_BYTES) } };
    }
  }
  const { version } = await services.registry.createVersion(parts(), options);
  if (version === undefined) throw new StageIncomplete({ stage: 'register' });
  return {
    result: version,
    message: `${version.name}, ${(Number(version.sizeBytes) / 1024).toFixed(1)} KiB`,
    metrics: { sizeBytes: Number(version.sizeBytes) },
  };
}

/** Puts a version into service and moves the alias to it; the alias moves only when the version serves. */
export async function* deploy(
  { services, checked, options }: StageContext,
  { version, alias }: { readonly version: ModelVersion; readonly alias: string },
): StageWork<Deployment> {
  const target = checked.recipe.target === '' ? 'local' : checked.recipe.target;
  let deployment: Deployment | undefined;
  for await (const answer of services.deploy.deploy({ modelVersion: version.name, target }, options)) {
    deployment = answer.deployment ?? deployment;
    yield { done: 0, total: 1, unit: 'deployments' };
  }
  if (deployment?.state !== DeploymentState.READY) throw new StageIncomplete({ stage: 'deploy' });
  await services.registry.setAlias(
    { name: `models/${version.model}/aliases/${alias}`, version: version.name },
    options,
  );
  return { result: deployment, message: `${version.name} serves on ${target}` };
}

/** Share as people read it. */
export function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}
