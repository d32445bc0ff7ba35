import type { CallContext, ServiceImplementation } from 'lamella/sdk';
import { isDeclaredError } from 'lamella/sdk';
import type {
  GRPCInferenceService,
  ModelInferRequest,
  ModelInferResponse,
  ModelStreamInferResponseSchema,
} from 'lamella/proto/inference/grpc_inference_service';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { type BalancedNames, isNobodyThere, type SentHeaders } from './balanced-names.ts';
import { BoundedQueue } from './bounded-queue.ts';

type Service = ServiceImplementation<typeof GRPCInferenceService>;
type StreamAnswer = MessageInitShape<typeof ModelStreamInferResponseSchema>;

/** Our own service, with requests of balanced models passed on to who balances them. */
export function balancedService(own: Service, names: BalancedNames): Service {
  const infer = async (
    request: ModelInferRequest,
    context: CallContext,
    headers: SentHeaders,
  ): Promise<ModelInferResponse | undefined> =>
    (await names.client.infer({ request }, { context, headers })).response;
  return {
    ...own,
    ...describingMethods(own, names),
    modelInfer: (request, context) =>
      // Where nobody balances, a request must not pay for it.
      names.isPresent
        ? either(names, [request.modelName, context], {
            own: () => own.modelInfer(request, context),
            balanced: (headers) => infer(request, context, headers),
          })
        : own.modelInfer(request, context),
    modelStreamInfer: (requests, context) =>
      names.isPresent
        ? dividedStream(requests, {
            choose: ({ modelName }) => names.headersFor(modelName, context),
            own: (mine) => own.modelStreamInfer(mine, context),
            balanced: (request, headers) => infer(request, context, headers),
          })
        : own.modelStreamInfer(requests, context),
  };
}

/** What a model is, as one of those who answer for it says. */
function describingMethods(
  own: Service,
  names: BalancedNames,
): Pick<Service, 'modelReady' | 'modelMetadata' | 'modelConfig'> {
  const { client } = names;
  return {
    modelReady: (request, context) =>
      either(names, [request.name, context], {
        own: () => own.modelReady(request, context),
        balanced: async () => (await client.getReadiness({ request }, { context })).response,
      }),
    modelMetadata: (request, context) =>
      either(names, [request.name, context], {
        own: () => own.modelMetadata(request, context),
        balanced: async () => (await client.getMetadata({ request }, { context })).response,
      }),
    modelConfig: (request, context) =>
      either(names, [request.name, context], {
        own: () => own.modelConfig(request, context),
        balanced: async () => (await client.getConfiguration({ request }, { context })).response,
      }),
  };
}

interface Answering<Answer> {
  readonly own: () => Answer | Promise<Answer>;
  readonly balanced: (headers: SentHeaders) => Promise<Answer | undefined>;
}

/** Who balances a model answers for it; a model that nobody here has may be balanced since a moment ago. */
async function either<Answer extends object>(
  names: BalancedNames,
  [model, context]: readonly [string, CallContext],
  answering: Answering<Answer>,
): Promise<Answer> {
  const headers = names.headersFor(model, context);
  if (headers !== undefined) return elsewhere(names, headers, answering);
  try {
    return await answering.own();
  } catch (error) {
    const isUnknown = isDeclaredError(error) && error.reason === 'MODEL_UNKNOWN';
    const late = isUnknown ? await names.headersForUnknown(model, context) : undefined;
    if (late === undefined) throw error;
    return elsewhere(names, late, answering);
  }
}

/** Without who balanced it, a model is our own again. */
async function elsewhere<Answer extends object>(
  names: BalancedNames,
  headers: SentHeaders,
  { own, balanced }: Answering<Answer>,
): Promise<Answer> {
  try {
    const answer = await balanced(headers);
    if (answer !== undefined) return answer;
  } catch (error) {
    if (!isNobodyThere(error)) throw error;
    await names.refresh();
  }
  return own();
}

/** Requests of a stream that may be under way. */
const AT_ONCE = 64;

interface Dividing {
  /** Headers to send along, `undefined` for our own models. */
  readonly choose: (request: ModelInferRequest) => SentHeaders | undefined;
  readonly own: (requests: AsyncIterable<ModelInferRequest>) => AsyncIterable<StreamAnswer>;
  readonly balanced: (
    request: ModelInferRequest,
    headers: SentHeaders,
  ) => Promise<ModelInferResponse | undefined>;
}

/** Answers a stream in which both kinds of models may be named; answers of different kinds may overtake each other. */
function dividedStream(
  requests: AsyncIterable<ModelInferRequest>,
  dividing: Dividing,
): AsyncIterable<StreamAnswer> {
  const mine = new BoundedQueue<ModelInferRequest>();
  const answers = new BoundedQueue<StreamAnswer>();
  const passOn = async (): Promise<void> => {
    for await (const answer of dividing.own(mine)) await answers.push(answer);
  };
  const divide = async (): Promise<void> => {
    const underWay: Promise<void>[] = [];
    for await (const request of requests) {
      const headers = dividing.choose(request);
      if (headers === undefined) {
        await mine.push(request);
        continue;
      }
      const before = underWay.at(-1);
      const answer = balancedAnswer(request, dividing.balanced(request, headers));
      const inOrder = answer.then(async (made) => {
        await before;
        await answers.push(made);
      });
      // Whoever waits for it sees its failure.
      inOrder.catch(() => undefined);
      underWay.push(inOrder);
      if (underWay.length >= AT_ONCE) await underWay.shift();
    }
    mine.end();
    await Promise.all(underWay);
  };
  Promise.all([divide(), passOn()]).then(
    () => answers.end(),
    (error: unknown) => {
      mine.end();
      answers.end(error as Error);
    },
  );
  return answers;
}

/** As in Triton, an error goes into the answer and the stream goes on. */
async function balancedAnswer(
  { id }: ModelInferRequest,
  work: Promise<ModelInferResponse | undefined>,
): Promise<StreamAnswer> {
  try {
    const inferResponse = await work;
    return inferResponse === undefined ? {} : { inferResponse };
  } catch (error) {
    if (!isStatus(error)) throw error;
    return { errorMessage: error.message, inferResponse: { id } };
  }
}

/** Servers of others answer without a reason of ours; then there is only a code. */
function isStatus(error: unknown): error is Error {
  return (
    isDeclaredError(error) || (error instanceof Error && 'code' in error && typeof error.code === 'number')
  );
}
