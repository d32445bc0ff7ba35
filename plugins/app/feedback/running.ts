import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  GetRetrainStatusResponseSchema,
  RetrainRequest,
} from 'lamella/proto/lamella/app/v1/feedback_service';
import type { Clock } from 'lamella/sdk';
import { RetrainAbandoned, RetrainRunning } from './errors.ts';
import { failureText, type StageEvent } from './stages.ts';

/** A run, and what has happened in it for those who follow. */
class Run {
  readonly requestId: string;
  readonly startedMs: number;
  readonly #events: StageEvent[] = [];
  #isRunning = true;
  #error: Error | undefined;
  #wake: () => void = () => undefined;
  #changed: Promise<void> = this.#nextChange();

  constructor(requestId: string, startedMs: number) {
    this.requestId = requestId;
    this.startedMs = startedMs;
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  get last(): StageEvent | undefined {
    return this.#events.at(-1);
  }

  /** Why it failed; empty while it has not. */
  get failure(): string {
    return this.#error === undefined ? '' : failureText(this.#error);
  }

  #nextChange(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #tell(): void {
    this.#wake();
    this.#changed = this.#nextChange();
  }

  /** Passes the events of the work through; whoever reads them drives it. */
  async *drive(work: AsyncIterable<StageEvent>): AsyncGenerator<StageEvent> {
    let isComplete = false;
    try {
      for await (const event of work) {
        this.#events.push(event);
        this.#tell();
        yield event;
      }
      isComplete = true;
    } catch (error) {
      this.#error = error instanceof Error ? error : new Error(String(error));
      throw error;
    } finally {
      if (!isComplete) this.#error ??= new RetrainAbandoned({});
      this.#isRunning = false;
      this.#tell();
    }
  }

  /** All events from the beginning, then each as it comes, and the end that the run has. */
  async *follow(): AsyncGenerator<StageEvent> {
    for (let seen = 0; ;) {
      const changed = this.#changed;
      const event = this.#events[seen];
      if (event !== undefined) {
        seen += 1;
        yield event;
      } else if (this.#isRunning) {
        await changed;
      } else if (this.#error === undefined) {
        return;
      } else {
        throw this.#error;
      }
    }
  }
}

/** What is known of the trainings of this instance; one at a time for each model. */
export class RunningRetrains {
  readonly #clock: Clock;
  readonly #byModel: Map<string, Run> = new Map();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Starts a training, or follows the one that runs when it was asked for with the same id.
   *
   * @throws RETRAIN_RUNNING, RETRAIN_ABANDONED
   */
  async *track(
    { model, requestId }: Pick<RetrainRequest, 'model' | 'requestId'>,
    work: () => AsyncIterable<StageEvent>,
  ): AsyncGenerator<StageEvent> {
    const running = this.#byModel.get(model);
    if (running?.isRunning === true) {
      if (requestId === '' || requestId !== running.requestId) throw new RetrainRunning({ model });
      yield* running.follow();
      return;
    }
    const run = new Run(requestId, this.#clock.now());
    this.#byModel.set(model, run);
    yield* run.drive(work());
  }

  status(model: string): MessageInitShape<typeof GetRetrainStatusResponseSchema> {
    const run = this.#byModel.get(model);
    if (run === undefined) return { running: false };
    return {
      running: run.isRunning,
      startTime: timestampFromMs(run.startedMs),
      failure: run.failure,
      ...(run.last === undefined ? {} : { last: run.last }),
    };
  }
}
