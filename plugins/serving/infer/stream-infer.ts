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
export async function* streamInfer(
  requests: AsyncIterable<ModelInferRequest>,
  infer: Infer,
): AsyncGenerator<Answer> {
  const iterator = requests[Symbol.asyncIterator]();
  const pending: Promise<Answer>[] = [];
  let next: Promise<IteratorResult<ModelInferRequest>> | undefined = iterator.next();
  try {
    while (next !== undefined || pending.length > 0) {
      const event = await earlier(pending.length < AT_ONCE ? next : undefined, pending[0]);
      if ('answer' in event) {
        void pending.shift();
        yield event.answer;
      } else if (event.request.done === true) {
        next = undefined;
      } else {
        pending.push(answerFor(event.request.value, infer));
        next = iterator.next();
      }
    }
  } finally {
    await iterator.return?.();
  }
}

type StreamEvent = { readonly request: IteratorResult<ModelInferRequest> } | { readonly answer: Answer };

/** Whichever comes first: the next request, or the answer whose turn it is. */
function earlier(
  request: Promise<IteratorResult<ModelInferRequest>> | undefined,
  answer: Promise<Answer> | undefined,
): Promise<StreamEvent> {
  const racers: Promise<StreamEvent>[] = [];
  if (request !== undefined) racers.push(request.then((value) => ({ request: value })));
  if (answer !== undefined) racers.push(answer.then((value) => ({ answer: value })));
  return Promise.race(racers);
}

async function answerFor(request: ModelInferRequest, infer: Infer): Promise<Answer> {
  try {
    return { errorMessage: '', inferResponse: await infer(request) };
  } catch (error) {
    if (!isDeclaredError(error)) throw error;
    return { errorMessage: error.message, inferResponse: { id: request.id } };
  }
}
