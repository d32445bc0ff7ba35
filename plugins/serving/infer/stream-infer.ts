import type { MessageInitShape } from '@bufbuild/protobuf';
import { isDeclaredError } from 'lamella/sdk';
import type {
  ModelInferRequest,
  ModelInferResponseSchema,
  ModelStreamInferResponseSchema,
} from 'lamella/proto/inference/grpc_inference_service';

type Answer = MessageInitShape<typeof ModelStreamInferResponseSchema>;
type Infer = (request: ModelInferRequest) => Promise<MessageInitShape<typeof ModelInferResponseSchema>>;

const AT_ONCE = 64;

/**
 * Answers a stream of requests in their order, several at once so that they can share a batch.
 *
 * @remarks As in Triton, an error goes into the answer with the id of its request and the stream goes on.
 */
export async function* streamInfer(requests: AsyncIterable<ModelInferRequest>, infer: Infer): AsyncGenerator<Answer> {
  const iterator = requests[Symbol.asyncIterator]();
  const pending: Promise<Answer>[] = [];
  let next: Promise<IteratorResult<ModelInferRequest>> | undefined = iterator.next();
  try {
    while (next !== undefined || pending.length > 0) {
      const [first] = pending;
      const racers: Promise<{ request?: IteratorResult<ModelInferRequest>; answer?: Answer }>[] = [];
      if (next !== undefined && pending.length < AT_ONCE) racers.push(next.then((request) => ({ request })));
      if (first !== undefined) racers.push(first.then((answer) => ({ answer })));
      const { request, answer } = await Promise.race(racers);
      if (answer !== undefined) {
        pending.shift();
        yield answer;
      } else if (request?.done === true) {
        next = undefined;
      } else if (request !== undefined) {
        pending.push(answerFor(request.value, infer));
        next = iterator.next();
      }
    }
  } finally {
    await iterator.return?.();
  }
}

async function answerFor(request: ModelInferRequest, infer: Infer): Promise<Answer> {
  try {
    return { errorMessage: '', inferResponse: await infer(request) };
  } catch (error) {
    if (!isDeclaredError(error)) throw error;
    return { errorMessage: error.message, inferResponse: { id: request.id } };
  }
}
