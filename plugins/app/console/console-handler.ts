import type { FeedbackService } from 'lamella/proto/lamella/app/v1/feedback_service';
import type { RegistryService } from 'lamella/proto/lamella/model/v1/registry_service';
import type { MonitorService } from 'lamella/proto/lamella/serving/v1/monitor_service';
import { type CallOptions, type Client, type FetchHandler, isDeclaredError, type Logger } from 'lamella/sdk';
import { listFeedback, modelOf, recordFeedback } from './feedback-api.ts';
import { errorResponse, isJsonRequest, jsonResponse, readJsonObject } from './json-http.ts';
import { listModels } from './models-api.ts';
import { endSilence, showMonitor, silenceAlerts } from './monitor-api.ts';
import { retrainEvents } from './retrain-events.ts';
import { type StaticFiles, staticResponse } from './static-files.ts';

/** What the console works with. */
export interface ConsoleParts {
  readonly files: StaticFiles;
  readonly feedback: Client<typeof FeedbackService>;
  readonly registry: Client<typeof RegistryService>;
  readonly monitor: Client<typeof MonitorService>;
  readonly log: Logger;
}

type Answer = (request: Request, options: CallOptions) => Response | Promise<Response>;

/** Answers of one path by method. */
type Methods = ReadonlyMap<string, Answer>;

/** The page's files and, under `/console/api`, what they need of the kernel's services. */
export function consoleHandler(parts: ConsoleParts): FetchHandler {
  const routes = new Map([...fileRoutes(parts.files), ...apiRoutes(parts)]);
  return async (request, { signal }) => {
    const path = new URL(request.url).pathname;
    const methods = routes.get(path);
    if (methods === undefined) {
      return jsonResponse({ error: `There is nothing at ${path}; the console is at /.` }, 404);
    }
    const answer = methods.get(request.method === 'HEAD' ? 'GET' : request.method);
    if (answer === undefined) return methodRefused(request.method, [...methods.keys()]);
    if (request.method === 'POST' && !isJsonRequest(request)) {
      return jsonResponse({ error: 'Send the body with content-type application/json.' }, 415);
    }
    try {
      return await answer(request, { signal });
    } catch (error) {
      if (isDeclaredError(error)) return errorResponse(error);
      throw error;
    }
  };
}

function fileRoutes(files: StaticFiles): ReadonlyMap<string, Methods> {
  return new Map(
    [...files].map(([path, file]) => [path, new Map([['GET', (request) => staticResponse(file, request)]])]),
  );
}

function methodRefused(method: string, allowed: readonly string[]): Response {
  const allow = allowed.join(', ');
  return jsonResponse({ error: `${method} is not allowed here; use ${allow}.` }, 405, { allow });
}

function apiRoutes({ feedback, registry, monitor, log }: ConsoleParts): ReadonlyMap<string, Methods> {
  const list: Answer = async (request, options) => {
    const model = modelOf(new URL(request.url).searchParams.get('model'));
    return jsonResponse(await listFeedback(feedback, model, options));
  };
  const record: Answer = async (request, options) =>
    jsonResponse({ feedback: await recordFeedback(feedback, request, options) }, 201);
  const retrain: Answer = async (request, options) => {
    const model = modelOf((await readJsonObject(request))['model']);
    return retrainEvents(feedback.retrain({ model }, options), log);
  };
  const models: Answer = async (_request, options) =>
    jsonResponse({ models: await listModels(registry, options) });
  return new Map([
    [
      '/console/api/feedback',
      new Map([
        ['GET', list],
        ['POST', record],
      ]),
    ],
    ['/console/api/retrain', new Map([['POST', retrain]])],
    ['/console/api/models', new Map([['GET', models]])],
    ...monitorRoutes(monitor),
  ]);
}

function monitorRoutes(monitor: ConsoleParts['monitor']): readonly (readonly [string, Methods])[] {
  const show: Answer = async (_request, options) => jsonResponse(await showMonitor(monitor, options));
  const silence: Answer = async (request, options) =>
    jsonResponse({ name: await silenceAlerts(monitor, request, options) }, 201);
  const end: Answer = async (request, options) => {
    await endSilence(monitor, request, options);
    return jsonResponse({});
  };
  return [
    ['/console/api/monitor', new Map([['GET', show]])],
    ['/console/api/monitor/silence', new Map([['POST', silence]])],
    ['/console/api/monitor/unsilence', new Map([['POST', end]])],
  ];
}
