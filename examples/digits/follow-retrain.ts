import {
  type RetrainResponse,
  type RetrainResult,
  RetrainStage,
  RetrainState,
} from '../../proto/gen/lamella/app/v1/feedback_service_pb.ts';
import type { StageClock } from './stage-clock.ts';

const NAMES: ReadonlyMap<RetrainStage, string> = new Map([
  [RetrainStage.COLLECT, 'feedback'],
  [RetrainStage.CLEAN, 'clean'],
  [RetrainStage.PREPROCESS, 'preprocess'],
  [RetrainStage.QUALITY, 'quality'],
  [RetrainStage.TRAIN, 'train'],
  [RetrainStage.EVALUATE, 'evaluate'],
  [RetrainStage.COMPARE, 'compare'],
  [RetrainStage.REGISTER, 'register'],
  [RetrainStage.DEPLOY, 'deploy'],
]);

/** In a first run there is neither feedback to add nor a version to compare with: no line for these two. */
const SILENT: ReadonlySet<RetrainStage> = new Set([RetrainStage.COLLECT, RetrainStage.COMPARE]);

/**
 * Shows a retraining as it goes on.
 *
 * @throws Error if the stream ends without a result.
 */
export async function followRetrain(
  responses: AsyncIterable<RetrainResponse>,
  clock: StageClock,
): Promise<RetrainResult> {
  let result: RetrainResult | undefined;
  for await (const response of responses) {
    result = response.result ?? result;
    if (!SILENT.has(response.stage)) show(response, clock);
  }
  if (result === undefined) throw new Error('The training ended without a result; see the log.');
  return result;
}

function show(response: RetrainResponse, clock: StageClock): void {
  const name = NAMES.get(response.stage);
  if (name === undefined) return;
  switch (response.state) {
    case RetrainState.STARTED:
      clock.start(name);
      break;
    case RetrainState.PROGRESS:
      clock.progress({ done: Number(response.done), total: Number(response.total), unit: response.unit });
      break;
    case RetrainState.DONE:
    case RetrainState.SKIPPED:
      clock.done(response.message);
      break;
    case RetrainState.FAILED:
      clock.failed(response.message);
      break;
    default:
      // A state of a later version: nothing to show.
      break;
  }
}
