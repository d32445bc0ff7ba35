import type { MessageInitShape } from '@bufbuild/protobuf';
import { isDeclaredError } from 'lamella/sdk';
import type {
  ModelInferRequest,
  ModelInferResponseSchema,
  ModelStreamInferResponseSchema,
} from 'lamella/proto/inference/grpc_inference_service';
import { Outlet } from './outlet.ts';

type Answer = MessageInitShape<typeof ModelStreamInferResponseSchema>;
type InferResponse = MessageInitShape<typeof ModelInferResponseSchema>;

/** Answers one request: once, or any number of times where the model is decoupled. */
export type InferOnStream = (
  request: ModelInferRequest,
) => Promise<InferResponse | AsyncIterable<InferResponse>>;

const AT_ONCE = 64;

/**
 * Answers a stream of requests, several at once so that they can share a batch.
 *
 * @remarks Models that give one answer are answered in the order of the requests; what decoupled models give comes as soon as
 * it is there. As in Triton, an error goes into the answer with the id of its request and the stream goes on.
 */
export async function* streamInfer(
  requests: AsyncIterable<ModelInferRequest>,
  infer: InferOnStream,
): AsyncGenerator<Answer> {
  const iterator = requests[Symbol.asyncIterator]();
  const answers = new StreamAnswers(infer);
  void answers.readAll(iterator);
  try {
    yield* answers.outlet.items();
  } finally {
    answers.outlet.close();
    await iterator.return?.();
  }
}

class StreamAnswers {
  readonly outlet: Outlet<Answer> = new Outlet();
  readonly #infer: InferOnStream;
  #underWay = 0;
  /** Called when one request less is under way. */
  #onAnswered: (() => void) | undefined;

  constructor(infer: InferOnStream) {
    this.#infer = infer;
  }

  /** Never rejects: what fails ends the outlet. */
  async readAll(requests: AsyncIterator<ModelInferRequest>): Promise<void> {
    try {
      let before = Promise.resolve();
      for (let next = await requests.next(); next.done !== true; next = await requests.next()) {
        const request = next.value;
        const previous = before;
        this.#underWay += 1;
        before = new Promise<void>((resolve) => {
          void this.#answer(request, { previous, leaveTurn: resolve });
        });
        while (this.#underWay >= AT_ONCE) await this.#answered();
      }
      while (this.#underWay > 0) await this.#answered();
      this.outlet.end();
    } catch (error) {
      this.outlet.fail(error);
    }
  }

  #answered(): Promise<void> {
    return new Promise((resolve) => {
      this.#onAnswered = resolve;
    });
  }

  /** @param turn - Answers that come alone wait until those to the requests before are out. */
  async #answer(
    request: ModelInferRequest,
    turn: { readonly previous: Promise<void>; readonly leaveTurn: () => void },
  ): Promise<void> {
    try {
      const answer = await this.#infer(request);
      if (Symbol.asyncIterator in answer) {
        void turn.previous.then(turn.leaveTurn);
        for await (const inferResponse of answer) {
          if (!(await this.outlet.send({ errorMessage: '', inferResponse }))) return;
        }
      } else {
        await turn.previous;
        await this.outlet.send({ errorMessage: '', inferResponse: answer });
      }
    } catch (error) {
      await turn.previous;
      await this.#refuse(request, error);
    } finally {
      turn.leaveTurn();
      this.#underWay -= 1;
      this.#onAnswered?.();
    }
  }

  async #refuse({ id }: ModelInferRequest, error: unknown): Promise<void> {
    if (!isDeclaredError(error)) return this.outlet.fail(error);
    await this.outlet.send({ errorMessage: error.message, inferResponse: { id } });
  }
}
