import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { GetRetrainStatusResponseSchema } from 'lamella/proto/lamella/app/v1/feedback_service';
import type { Clock } from 'lamella/sdk';
import { RetrainRunning } from './errors.ts';
import { failureText, type StageEvent } from './stages.ts';

interface Progress {
  isRunning: boolean;
  readonly startedMs: number;
  last: StageEvent | undefined;
  failure: string;
}

/** What is known of the trainings of this instance; one at a time for each model. */
export class RunningRetrains {
  readonly #clock: Clock;
  readonly #byModel: Map<string, Progress> = new Map();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Passes the events of a training through and remembers the last one.
   *
   * @throws RETRAIN_RUNNING
   */
  async *track(model: string, events: AsyncIterable<StageEvent>): AsyncGenerator<StageEvent> {
    if (this.#byModel.get(model)?.isRunning === true) throw new RetrainRunning({ model });
    const progress: Progress = {
      isRunning: true,
      startedMs: this.#clock.now(),
      last: undefined,
      failure: '',
    };
    this.#byModel.set(model, progress);
    try {
      for await (const event of events) {
        progress.last = event;
        yield event;
      }
    } catch (error) {
      progress.failure = failureText(error);
      throw error;
    } finally {
      progress.isRunning = false;
    }
  }

  status(model: string): MessageInitShape<typeof GetRetrainStatusResponseSchema> {
    const progress = this.#byModel.get(model);
    if (progress === undefined) return { running: false };
    return {
      running: progress.isRunning,
      startTime: timestampFromMs(progress.startedMs),
      failure: progress.failure,
      ...(progress.last === undefined ? {} : { last: progress.last }),
    };
  }
}
