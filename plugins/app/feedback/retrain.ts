import { durationFromMs } from '@bufbuild/protobuf/wkt';
import {
  type RetrainRequest,
  RetrainStage,
  RetrainState,
} from 'lamella/proto/lamella/app/v1/feedback_service';
import type { EvaluateResponse } from 'lamella/proto/lamella/model/v1/evaluate_service';
import type { ModelVersion } from 'lamella/proto/lamella/model/v1/model';
import { type CallContext, Code, isDeclaredError, type Logger } from 'lamella/sdk';
import { clean, preprocess, qualityGate, type StageContext } from './data-stages.ts';
import { RecipeMissing } from './errors.ts';
import type { FeedbackStore } from './feedback-store.ts';
import { addFeedback } from './add-feedback.ts';
import { deploy, evaluate, percent, register, train } from './model-stages.ts';
import { type CheckedRecipe, checkRecipe, recipeFromStruct } from './recipe.ts';
import type { Services } from './services.ts';
import { runStage, skipped, type StageEvent } from './stages.ts';

/** What a retraining needs. */
export interface RetrainParts {
  readonly services: Services;
  readonly feedback: FeedbackStore;
  /** Registry alias of the version in service. */
  readonly alias: string;
  readonly log: Logger;
}

/** The version in service and its figures on today's hold-out. */
interface Incumbent {
  readonly version: ModelVersion;
  readonly evaluation: EvaluateResponse;
}

/**
 * Trains a model on its data plus all feedback, compares it with the version in service on the same hold-out, and
 * puts it into service only if it is not worse. The first training of a model is the same walk without an incumbent.
 *
 * @throws RECIPE_MISSING, RECIPE_INVALID, QUALITY_GATE_FAILED, and what the stages' services throw.
 */
export async function* retrain(
  parts: RetrainParts,
  request: RetrainRequest,
  context: CallContext,
): AsyncGenerator<StageEvent> {
  const startedMs = performance.now();
  const { services, alias } = parts;
  const options = { context };
  const inService = await serving(parts, request.model, context);
  const checked = recipeOf(request, inService);
  const stage: StageContext = { services, checked, options };

  const data = yield* runStage(RetrainStage.COLLECT, addFeedback(stage, parts.feedback, request.model));
  const cleaned = yield* runStage(RetrainStage.CLEAN, clean(stage, data.version.name));
  const version = cleaned.name;
  const pipeline = yield* runStage(RetrainStage.PREPROCESS, preprocess(stage, version));
  yield* runStage(RetrainStage.QUALITY, qualityGate(stage, version));
  const completed = yield* runStage(RetrainStage.TRAIN, train(stage, { version, pipeline }));
  const evaluation = yield* runStage(
    RetrainStage.EVALUATE,
    evaluate(stage, { onnx: completed.onnx, version }),
  );
  const incumbent = yield* compare(stage, { inService, version });
  const isBetter = isNotWorse(evaluation, incumbent, checked);
  const registered = yield* runStage(
    RetrainStage.REGISTER,
    register(stage, { model: request.model, completed, evaluation, datasetVersion: version }),
  );
  await parts.feedback.markUsed(request.model, data.lastFeedback);
  const promoted = isBetter && !request.registerOnly;
  const reason = verdict(evaluation, incumbent, { isBetter, registerOnly: request.registerOnly });
  if (promoted) yield* runStage(RetrainStage.DEPLOY, deploy(stage, { version: registered, alias }));
  else yield skipped(RetrainStage.DEPLOY, reason);

  const result = {
    version: registered.name,
    accuracy: evaluation.accuracy,
    ...incumbentFigures(incumbent),
    promoted,
    rows: cleaned.rowCount,
    sizeBytes: registered.sizeBytes,
    samplesPerSecond: completed.samplesPerSecond,
    feedbackRows: BigInt(data.feedbackRows),
    holdoutRows: evaluation.rows,
    reason,
    datasetVersion: version,
    duration: durationFromMs(Math.round(performance.now() - startedMs)),
  };
  yield { stage: RetrainStage.DEPLOY, state: RetrainState.DONE, message: reason, result };
}

function incumbentFigures(incumbent: Incumbent | undefined): {
  incumbentAccuracy?: number;
  incumbentVersion?: string;
} {
  if (incumbent === undefined) return {};
  return { incumbentAccuracy: incumbent.evaluation.accuracy, incumbentVersion: incumbent.version.name };
}

/** The version behind the serving alias, if there is one. */
async function serving(
  { services, alias }: RetrainParts,
  model: string,
  context: CallContext,
): Promise<ModelVersion | undefined> {
  try {
    const { version } = await services.registry.getVersion(
      { name: `models/${model}/aliases/${alias}` },
      { context },
    );
    return version;
  } catch (error) {
    // A model that was never trained: there is nothing to compare with.
    if (isDeclaredError(error) && error.code === Code.NOT_FOUND) return undefined;
    throw error;
  }
}

function recipeOf(request: RetrainRequest, inService: ModelVersion | undefined): CheckedRecipe {
  if (request.recipe !== undefined) return checkRecipe(request.recipe);
  if (inService?.recipe === undefined) throw new RecipeMissing({ model: request.model });
  return checkRecipe(recipeFromStruct(inService.recipe));
}

async function* compare(
  stage: StageContext,
  { inService, version }: { readonly inService: ModelVersion | undefined; readonly version: string },
): AsyncGenerator<StageEvent, Incumbent | undefined> {
  if (inService === undefined) {
    yield skipped(RetrainStage.COMPARE, 'no version in service to compare with');
    return undefined;
  }
  const evaluation = yield* runStage(
    RetrainStage.COMPARE,
    evaluate(stage, { modelVersion: inService.name, version }),
  );
  return { version: inService, evaluation };
}

function isNotWorse(
  evaluation: EvaluateResponse,
  incumbent: Incumbent | undefined,
  { recipe }: CheckedRecipe,
): boolean {
  if (incumbent === undefined) return true;
  return evaluation.accuracy >= incumbent.evaluation.accuracy - recipe.tolerance;
}

function verdict(
  evaluation: EvaluateResponse,
  incumbent: Incumbent | undefined,
  { isBetter, registerOnly }: { readonly isBetter: boolean; readonly registerOnly: boolean },
): string {
  if (registerOnly) return 'registered only, as asked';
  if (incumbent === undefined) return 'first version of the model';
  const figures = `${percent(evaluation.accuracy)} against ${percent(incumbent.evaluation.accuracy)}`;
  return isBetter
    ? `not worse than the version in service: ${figures}`
    : `worse than the version in service: ${figures}`;
}
