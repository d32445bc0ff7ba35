import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { KubernetesObject } from './schemas.ts';

/** A request that changes something, as it arrived. */
export interface Sent {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly body: KubernetesObject | undefined;
}

/** Plural names of the kinds that the server knows, by API version. */
const KINDS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  v1: { ConfigMap: 'configmaps', Service: 'services', ServiceAccount: 'serviceaccounts' },
  'apps/v1': { Deployment: 'deployments' },
  'policy/v1': { PodDisruptionBudget: 'poddisruptionbudgets' },
  'autoscaling/v2': { HorizontalPodAutoscaler: 'horizontalpodautoscalers' },
  'networking.k8s.io/v1': { NetworkPolicy: 'networkpolicies' },
  'monitoring.coreos.com/v1': { ServiceMonitor: 'servicemonitors' },
  'serving.kserve.io/v1alpha1': { ServingRuntime: 'servingruntimes' },
  'serving.kserve.io/v1beta1': { InferenceService: 'inferenceservices' },
};

const TOKEN = 'test-token';
const APPLY = 'application/apply-patch+yaml';
const OBJECT =
  /^\/(?:api|apis)\/(?<version>v1|[^/]+\/[^/]+)\/namespaces\/(?<namespace>[^/]+)\/(?<plural>[^/]+)(?:\/(?<name>[^/]+))?$/;

/**
 * A small stand-in for a Kubernetes API server: discovery, get, list by label, server-side apply with dry run and
 * conflicts, delete. It refuses what it is not sent as the real one wants it, keeps what it is sent, and runs nothing; a
 * test says what the cluster then makes of an object.
 */
export class TestApiServer {
  readonly sent: Sent[] = [];
  readonly objects: Map<string, KubernetesObject> = new Map();
  /** What the cluster's controllers make of an object that was applied. */
  settle: (object: KubernetesObject) => KubernetesObject = (object) => object;
  /** What is wrong with an object; such objects are refused as unprocessable. */
  problems: (object: KubernetesObject) => Promise<readonly string[]> = () => Promise.resolve([]);
  /** Kinds that the account may not change. */
  readonly forbidden: Set<string> = new Set();
  /** Kinds whose fields somebody else manages. */
  readonly foreign: Set<string> = new Set();
  /** API versions that the cluster does not have. */
  readonly unknown: Set<string> = new Set();
  readonly #server: Server = createServer((request, response) => {
    this.#answer(request).then(
      ({ status, body }) => send(response, status, body),
      (error: unknown) => send(response, 500, failure(500, 'InternalError', String(error))),
    );
  });

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Text of a kubeconfig for this server. */
  kubeconfig(token: string = TOKEN): string {
    const { port } = this.#server.address() as AddressInfo;
    return JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        { name: 'test', cluster: { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } },
      ],
      users: [{ name: 'test', user: { token } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
      'current-context': 'test',
    });
  }

  async #answer(request: IncomingMessage): Promise<Answer> {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const text = await textOf(request);
    if (request.headers.authorization !== `Bearer ${TOKEN}`)
      return refused(401, 'Unauthorized', 'Unauthorized');
    const version = url.pathname.replace(/^\/apis?\//, '');
    const kinds = this.unknown.has(version) ? undefined : KINDS[version];
    if (kinds !== undefined) return { status: 200, body: resourceList(version, kinds) };
    const kind = kindAt(url.pathname);
    if (kind === undefined) return refused(404, 'NotFound', 'there is no such path');
    const method = request.method ?? '';
    const body = method === 'PATCH' ? (JSON.parse(text) as KubernetesObject) : undefined;
    const sent: Sent = { method, path: url.pathname, query: Object.fromEntries(url.searchParams), body };
    return this.#object({ ...sent, kind, contentType: request.headers['content-type'] ?? '' }, sent);
  }

  #object(call: ObjectCall, sent: Sent): Promise<Answer> | Answer {
    const { method, path, query, kind } = call;
    if (method !== 'GET') {
      this.sent.push(sent);
      if (this.forbidden.has(kind)) return refused(403, 'Forbidden', `User "test" cannot ${method} ${kind}`);
    }
    const found = this.objects.get(path);
    if (method === 'PATCH') return this.#apply(call, found);
    if (method === 'GET' && path.split('/').length === lengthOf(path)) return this.#list(path, query);
    if (found === undefined) return refused(404, 'NotFound', `${path} not found`);
    if (method === 'DELETE') {
      this.objects.delete(path);
      return { status: 200, body: { kind: 'Status', apiVersion: 'v1', status: 'Success' } };
    }
    return method === 'GET' ? { status: 200, body: found } : refused(405, 'MethodNotAllowed', method);
  }

  #list(path: string, query: Readonly<Record<string, string>>): Answer {
    const wanted = (query['labelSelector'] ?? '').split(',').map((term) => term.split('='));
    const items = [...this.objects]
      .filter(([where]) => where.startsWith(`${path}/`))
      .map(([, object]) => object)
      .filter(({ metadata }) => {
        const { labels = {} } = metadata as { readonly labels?: Readonly<Record<string, string>> };
        return wanted.every(([label = '', value]) => labels[label] === value);
      });
    return { status: 200, body: { kind: 'List', apiVersion: 'v1', metadata: {}, items } };
  }

  async #apply(call: ObjectCall, found: KubernetesObject | undefined): Promise<Answer> {
    const { path, query, body } = call;
    const objection = this.#objection(call);
    if (objection !== undefined || body === undefined)
      return objection ?? refused(400, 'BadRequest', 'no object');
    const wrong = await this.problems(body);
    if (wrong.length > 0) return refused(422, 'Invalid', wrong.join('; '));
    const applied = generated(body, path, found);
    if (query['dryRun'] !== 'All') this.objects.set(path, this.settle(applied));
    return { status: found === undefined ? 201 : 200, body: applied };
  }

  /** Why a request is no server-side apply that may be done. */
  #objection({ kind, path, query, body, contentType }: ObjectCall): Answer | undefined {
    if (contentType !== APPLY) return refused(415, 'UnsupportedMediaType', `send ${APPLY}`);
    if (query['fieldManager'] === undefined) return refused(422, 'Invalid', 'fieldManager: Required value');
    if (body?.kind !== kind || !path.endsWith(`/${body.metadata.name}`)) {
      return refused(400, 'BadRequest', 'it is another object');
    }
    return this.foreign.has(kind) && query['force'] !== 'true'
      ? refused(409, 'Conflict', 'Apply failed with 1 conflict: conflict with "kubectl": .spec')
      : undefined;
  }
}

/** An object as the server keeps it: the generation counts changes of its spec, the status stays. */
function generated(
  body: KubernetesObject,
  path: string,
  found: KubernetesObject | undefined,
): KubernetesObject {
  const before = (found?.metadata as { readonly generation?: number } | undefined)?.generation ?? 0;
  const isSame = JSON.stringify(found?.['spec']) === JSON.stringify(body['spec']);
  const metadata = { ...body.metadata, uid: path, generation: isSame ? before : before + 1 };
  return {
    ...body,
    metadata,
    ...(found !== undefined && 'status' in found ? { status: found['status'] } : {}),
  };
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

function kindAt(path: string): string | undefined {
  const { version = '', plural = '' } = OBJECT.exec(path)?.groups ?? {};
  return Object.entries(KINDS[version] ?? {}).find(([, name]) => name === plural)?.[0];
}

interface Answer {
  readonly status: number;
  readonly body: object;
}

interface ObjectCall extends Sent {
  readonly kind: string;
  readonly contentType: string;
}

/** Parts of the path of a collection: with a group in its API version it has one more. */
function lengthOf(path: string): number {
  return path.startsWith('/apis/') ? 7 : 6;
}

function resourceList(groupVersion: string, kinds: Readonly<Record<string, string>>): object {
  const resources = Object.entries(kinds).map(([kind, name]) => ({
    kind,
    name,
    namespaced: true,
    singularName: '',
    verbs: [],
  }));
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources };
}

function failure(code: number, reason: string, message: string): object {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message };
}

function refused(status: number, reason: string, message: string): Answer {
  return { status, body: failure(status, reason, message) };
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
