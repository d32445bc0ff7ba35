import { durationFromMs } from '@bufbuild/protobuf/wkt';
import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  type RetrainResponseSchema,
  RetrainStage,
  RetrainState,
} from 'lamella/proto/lamella/app/v1/feedback_service';

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
  yield { stage, state: RetrainState.STARTED };
  for (;;) {
    const step = await work.next();
    if (step.done === true) {
      const { result, message, metrics = {} } = step.value;
      const duration = durationFromMs(Math.round(performance.now() - startedMs));
      yield { stage, state: RetrainState.DONE, message, metrics: { ...metrics }, duration };
      return result;
    }
    const { done, total, unit, metrics = {} } = step.value;
    yield {
      stage,
      state: RetrainState.PROGRESS,
      done: BigInt(done),
      total: BigInt(total),
      unit,
      metrics: { ...metrics },
    };
  }
}

/** A stage that has nothing to do. */
export function skipped(stage: RetrainStage, message: string): StageEvent {
  return { stage, state: RetrainState.SKIPPED, message };
}
