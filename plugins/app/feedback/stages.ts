import { type Duration, durationFromMs } from '@bufbuild/protobuf/wkt';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { RetrainStage } from 'lamella/proto/lamella/app/v1/feedback_service';
import { type RetrainResponseSchema, RetrainState } from 'lamella/proto/lamella/app/v1/feedback_service';
import { isDeclaredError } from 'lamella/sdk';

/** One message of a Retrain stream. */
export type StageEvent = MessageInitShape<typeof RetrainResponseSchema>;

/** Progress within a stage. */
export interface StageProgress {
  readonly done: number;
  readonly total: number;
  readonly unit: string;
  readonly metrics?: Readonly<Record<string, number>>;
}

/** What a stage ends with: its result, and what people are told. */
export interface StageOutcome<Result> {
  readonly result: Result;
  readonly message: string;
  readonly metrics?: Readonly<Record<string, number>>;
}

/** Work of a stage: yields progress, returns the outcome. */
export type StageWork<Result> = AsyncGenerator<StageProgress, StageOutcome<Result>>;

/** Runs one stage and reports its begin, progress and end; the stage's result is what the generator returns. */
export async function* runStage<Result>(
  stage: RetrainStage,
  work: StageWork<Result>,
): AsyncGenerator<StageEvent, Result> {
  const startedMs = performance.now();
  const duration = (): Duration => durationFromMs(Math.round(performance.now() - startedMs));
  yield { stage, state: RetrainState.STARTED };
  let outcome: StageOutcome<Result>;
  try {
    outcome = yield* reported(stage, work);
  } catch (error) {
    yield { stage, state: RetrainState.FAILED, message: failureText(error), duration: duration() };
    throw error;
  }
  const { result, message, metrics = {} } = outcome;
  yield { stage, state: RetrainState.DONE, message, metrics: { ...metrics }, duration: duration() };
  return result;
}

/** What people are told of a failure: only declared errors are written for them. */
export function failureText(error: unknown): string {
  return isDeclaredError(error)
    ? error.message
    : 'failed for a reason that only the log of app.feedback shows';
}

async function* reported<Result>(
  stage: RetrainStage,
  work: StageWork<Result>,
): AsyncGenerator<StageEvent, StageOutcome<Result>> {
  let isDone = false;
  try {
    for (;;) {
      const step = await work.next();
      if (step.done === true) {
        isDone = true;
        return step.value;
      }
      const { done, total, unit, metrics = {} } = step.value;
      const amounts = { done: BigInt(done), total: BigInt(total), unit };
      yield { stage, state: RetrainState.PROGRESS, ...amounts, metrics: { ...metrics } };
    }
  } finally {
    // A caller that goes away between two messages ends the work too.
    if (!isDone) await work.return(undefined as never);
  }
}

/** A stage that has nothing to do. */
export function skipped(stage: RetrainStage, message: string): StageEvent {
  return { stage, state: RetrainState.SKIPPED, message };
}
