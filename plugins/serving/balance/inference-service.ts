import { type Client, pageOf, type ServiceImplementation } from 'lamella/sdk';
import type { GRPCInferenceService } from 'lamella/proto/inference/grpc_inference_service';
import type { BalancedInferenceService } from 'lamella/proto/lamella/serving/v1/balanced_inference_service';
import type { BalancedModel } from './balanced-model.ts';
import type { BalancedModels } from './balanced-models.ts';
import { refuse } from './check-values.ts';
import { BALANCED_HEADER } from './replica.ts';
import type { TrafficSettings } from './settings.ts';

/** What a question about a model is about. */
interface Question {
  readonly name: string;
  readonly version: string;
}

/** The service that the inference service passes requests of balanced models on to. */
export function balancedInferenceService(
  models: BalancedModels,
): ServiceImplementation<typeof BalancedInferenceService> {
  return {
    listBalancedModels: (request) => {
      const { items, nextPageToken } = pageOf(models.all(), ({ traffic }) => traffic.model, request);
      return {
        models: items.map(({ model: { settings } }) => ({
          name: settings.model,
          headers: headersOf(settings),
        })),
        nextPageToken,
      };
    },
    infer: async ({ request }, context) => {
      if (request === undefined) return refuse('request is missing');
      return { response: await models.get(request.modelName).model.infer(request, context) };
    },
    getReadiness: ({ request }) => {
      const { name = '', version = '' } = request ?? {};
      const { replicas } = models.get(name).model.groupFor(version, Math.random());
      const nowMs = performance.now();
      return { response: { ready: replicas.some((replica) => replica.obstacle(nowMs) === '') } };
    },
    getMetadata: async ({ request }, context) => {
      const { name, response } = await ask(models, request, (client, question, options) =>
        client.modelMetadata(question, { ...options, context }),
      );
      return { response: { ...response, name } };
    },
    getConfiguration: async ({ request }, context) => {
      const { response } = await ask(models, request, (client, question, options) =>
        client.modelConfig(question, { ...options, context }),
      );
      return { response };
    },
  };
}

function headersOf({ stickyKey, hashKey }: TrafficSettings): string[] {
  const keys = [stickyKey, hashKey].filter((key) => key?.kind === 'header');
  return [...new Set(keys.map((key) => key?.name ?? ''))];
}

type Ask<Answer> = (
  client: Client<typeof GRPCInferenceService>,
  question: Question,
  options: { readonly headers: readonly (readonly [string, string])[] },
) => Promise<Answer>;

/** Asks one endpoint of the model. */
async function ask<Answer>(
  models: BalancedModels,
  { name, version }: Question = { name: '', version: '' },
  askOne: Ask<Answer>,
): Promise<{ name: string; response: Answer }> {
  const model: BalancedModel = models.get(name).model;
  const group = model.groupFor(version, Math.random());
  const { client } = group.next(0, new Set(), false);
  const question = { name: group.settings.model, version: group.settings.version };
  return { name, response: await askOne(client, question, { headers: [[BALANCED_HEADER, '1']] }) };
}
