import { create, type DescMessage, type MessageInitShape, toJson } from '@bufbuild/protobuf';
import type { OrtPort } from 'lamella/sdk/ort';
import { codeName, type FetchHandler, type HttpContext, isDeclaredError } from 'lamella/sdk';
import { ModelStatisticsResponseSchema } from 'lamella/proto/inference/grpc_inference_service';
import { ModelConfigSchema } from 'lamella/proto/inference/model_config';
import { datatypeOf } from './datatype.ts';
import { extensionsOf } from './describe-model.ts';
import { RequestInvalid } from './errors.ts';
import { readLoadParameters, readUnloadParameters } from './load-request.ts';
import type { LoadedModel } from './loaded-model.ts';
import type { ModelRepository } from './repository.ts';
import { repositoryIndex } from './repository-index.ts';
import { readBodyObject } from './rest-body.ts';
import { restGenerate, restGenerateStream, restInfer } from './rest-infer.ts';
import { changeTraces, jsonTraces, readTraceValues } from './server-settings.ts';
import type { ServerFacts } from './service.ts';
import { readRegion, refuseCudaRegion, requireNoRegion, type SharedMemory } from './shared-memory.ts';
import { statisticsOf } from './statistics.ts';
import type { TraceValues } from './trace-settings.ts';

type Verb = 'GET' | 'POST';

interface Route {
  readonly verb: Verb;
  readonly pattern: RegExp;
  readonly answer: (parts: RouteParts) => Response | Promise<Response>;
}

interface RouteParts {
  readonly request: Request;
  readonly context: HttpContext;
  readonly groups: Readonly<Record<string, string | undefined>>;
}

const MODEL = String.raw`^/v2/models/(?<model>[^/]+)(?:/versions/(?<version>[^/]+))?`;

/** HTTP status of each gRPC status as Triton maps them; all others are 400. */
const HTTP_STATUS: Readonly<Record<string, number>> = {
  NOT_FOUND: 404,
  INTERNAL: 500,
  UNAVAILABLE: 503,
  UNIMPLEMENTED: 501,
  DEADLINE_EXCEEDED: 504,
  CANCELLED: 499,
  RESOURCE_EXHAUSTED: 429,
};

/** The protocol's REST form, under `/v2`. */
export function restHandler(
  repository: ModelRepository,
  server: ServerFacts,
  memory: SharedMemory,
): FetchHandler {
  const routes = restRoutes(repository, server, memory);
  return async (request, context) => {
    try {
      return await route(routes, request, context);
    } catch (error) {
      if (!isDeclaredError(error)) throw error;
      const retry =
        error.retryAfterMs === undefined
          ? {}
          : { 'retry-after': String(Math.ceil(error.retryAfterMs / 1_000)) };
      return json(
        { error: error.message },
        { status: HTTP_STATUS[codeName(error.code)] ?? 400, headers: retry },
      );
    }
  };
}

async function route(routes: readonly Route[], request: Request, context: HttpContext): Promise<Response> {
  const path = new URL(request.url).pathname;
  const verb = request.method === 'HEAD' ? 'GET' : request.method;
  const allowed = new Set<Verb>();
  for (const { pattern, answer, verb: wanted } of routes) {
    const match = pattern.exec(path);
    if (match === null) continue;
    allowed.add(wanted);
    if (wanted === verb) return answer({ request, context, groups: decoded(match.groups ?? {}) });
  }
  if (allowed.size > 0) {
    const verbs = [...allowed].join(', ');
    return json(
      { error: `${request.method} is not allowed here, use ${verbs}` },
      { status: 405, headers: { allow: verbs } },
    );
  }
  return json({ error: `there is nothing at ${path}; GET /v2 describes the server` }, { status: 404 });
}

function decoded(groups: Readonly<Record<string, string | undefined>>): Record<string, string | undefined> {
  try {
    return Object.fromEntries(
      Object.entries(groups).map(([name, value]) => [
        name,
        value === undefined ? undefined : decodeURIComponent(value),
      ]),
    );
  } catch {
    throw new RequestInvalid({ problem: 'the path has a malformed % sequence' });
  }
}

function get(pattern: string, answer: Route['answer']): Route {
  return { verb: 'GET', pattern: new RegExp(`${pattern}$`), answer };
}

function post(pattern: string, answer: Route['answer']): Route {
  return { verb: 'POST', pattern: new RegExp(`${pattern}$`), answer };
}

function restRoutes(
  repository: ModelRepository,
  server: ServerFacts,
  memory: SharedMemory,
): readonly Route[] {
  const model = ({ groups }: RouteParts): LoadedModel =>
    repository.get(groups['model'] ?? '', groups['version'] ?? '');
  const wanted = ({ groups }: RouteParts): LoadedModel | Promise<LoadedModel> =>
    repository.forRequest(groups['model'] ?? '', groups['version'] ?? '');
  return [
    get('^/v2/?', () => json({ ...server, extensions: extensionsOf(memory) })),
    get('^/v2/health/live', () => json({ live: true })),
    get('^/v2/health/ready', () =>
      json({ ready: repository.ready }, { status: repository.ready ? 200 : 503 }),
    ),
    get('^/v2/models/stats', () => statistics(repository.loaded())),
    get(`${MODEL}/ready`, ({ groups }) => {
      const ready = repository.has(groups['model'] ?? '', groups['version'] ?? '');
      return json({ name: groups['model'], ready }, { status: ready ? 200 : 503 });
    }),
    get(`${MODEL}/config`, (parts) => json(plain(ModelConfigSchema, model(parts).config))),
    get(`${MODEL}/stats`, (parts) =>
      statistics(repository.loaded(parts.groups['model'], parts.groups['version'])),
    ),
    post(`${MODEL}/infer`, async (parts) => restInfer(await wanted(parts), parts, memory)),
    post(`${MODEL}/generate`, async (parts) => json(await restGenerate(await wanted(parts), parts))),
    post(`${MODEL}/generate_stream`, async (parts) => restGenerateStream(await wanted(parts), parts)),
    ...settingRoutes(repository),
    ...sharedMemoryRoutes(memory),
    get(MODEL, (parts) => json(metadata(model(parts), repository.versions(parts.groups['model'] ?? '')))),
    post('^/v2/repository/index', async ({ request }) => {
      const { ready } = await readBodyObject(request);
      return json(await repositoryIndex(repository, { repositoryName: '', ready: ready === true }));
    }),
    post('^/v2/repository/models/(?<model>[^/]+)/load', async ({ request, groups }) => {
      await repository.load(groups['model'] ?? '', readLoadParameters(await bodyParameters(request)));
      return json({});
    }),
    post('^/v2/repository/models/(?<model>[^/]+)/unload', async ({ request, groups }) => {
      await repository.unload(groups['model'] ?? '', readUnloadParameters(await bodyParameters(request)));
      return json({});
    }),
  ];
}

/** Routes of the trace and logging extensions. */
function settingRoutes(repository: ModelRepository): readonly Route[] {
  const traces = ({ groups }: RouteParts, values: TraceValues): Response =>
    json(jsonTraces(changeTraces(repository, groups['model'] ?? '', values)));
  const path = '^/v2(?:/models/(?<model>[^/]+))?/trace/setting';
  const { log } = repository.observer;
  return [
    get(path, (parts) => traces(parts, {})),
    post(path, async (parts) => traces(parts, readTraceValues(await readBodyObject(parts.request)))),
    get('^/v2/logging', () => json(log.settings())),
    post('^/v2/logging', async ({ request }) => {
      log.change(await readBodyObject(request));
      return json(log.settings());
    }),
  ];
}

/** Routes of the shared memory extensions; there is no CUDA shared memory, and all of it can be asked for and forgotten. */
function sharedMemoryRoutes(memory: SharedMemory): readonly Route[] {
  const system = '^/v2/systemsharedmemory';
  const cuda = '^/v2/cudasharedmemory';
  const region = '/region/(?<region>[^/]+)';
  const nameOf = ({ groups }: RouteParts): string => groups['region'] ?? '';
  return [
    get(`${system}(?:${region})?/status`, (parts) =>
      json(
        memory.status(nameOf(parts)).map(({ name, key, offset, byteSize }) => ({
          name,
          key,
          offset: Number(offset),
          byte_size: Number(byteSize),
        })),
      ),
    ),
    post(`${system}${region}/register`, async (parts) => {
      memory.register(readRegion(nameOf(parts), await readBodyObject(parts.request)));
      return json({});
    }),
    post(`${system}(?:${region})?/unregister`, (parts) => {
      memory.unregister(nameOf(parts));
      return json({});
    }),
    get(`${cuda}(?:${region})?/status`, (parts) => (requireNoRegion(nameOf(parts)), json([]))),
    post(`${cuda}${region}/register`, refuseCudaRegion),
    post(`${cuda}(?:${region})?/unregister`, (parts) => (requireNoRegion(nameOf(parts)), json({}))),
  ];
}

/** The parameters of a repository request. */
async function bodyParameters(request: Request): Promise<Readonly<Record<string, unknown>>> {
  const { parameters = {} } = await readBodyObject(request);
  if (typeof parameters === 'object' && parameters !== null && !Array.isArray(parameters))
    return { ...parameters };
  throw new RequestInvalid({ problem: "'parameters' must be a JSON object" });
}

/** Statistics in the protocol's JSON, in which 64-bit counts are numbers. */
async function statistics(models: readonly LoadedModel[]): Promise<Response> {
  return json(plain(ModelStatisticsResponseSchema, { modelStats: await statisticsOf(models) }));
}

/** Fields of config and statistics that are text even where they hold a number. */
const TEXT_FIELDS: ReadonlySet<string> = new Set(['name', 'version']);

/** A message as JSON with the field names of the proto file and 64-bit integers as numbers, as Triton writes it. */
function plain<Schema extends DescMessage>(schema: Schema, message: MessageInitShape<Schema>): unknown {
  const value = toJson(schema, create(schema, message), {
    useProtoFieldName: true,
    alwaysEmitImplicit: true,
  });
  return JSON.parse(JSON.stringify(value), (key, entry: unknown) =>
    typeof entry === 'string' && !TEXT_FIELDS.has(key) && /^-?[0-9]{1,15}$/.test(entry)
      ? Number(entry)
      : entry,
  );
}

/** Metadata in the protocol's JSON: versions are text, sizes are numbers. */
function metadata(model: LoadedModel, versions: readonly string[]): unknown {
  const { name, inputs, outputs } = model.shape;
  const tensor = (port: OrtPort): object => ({
    name: port.name,
    datatype: datatypeOf(port.type).name,
    shape: port.dims,
  });
  return {
    name,
    versions,
    platform: model.config.platform,
    inputs: [...inputs.values()].map(tensor),
    outputs: [...outputs.values()].map(tensor),
  };
}

function json(
  value: unknown,
  init: { readonly status?: number; readonly headers?: Record<string, string> } = {},
): Response {
  return Response.json(value, {
    status: init.status ?? 200,
    ...(init.headers !== undefined && { headers: init.headers }),
  });
}
