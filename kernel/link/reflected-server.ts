import {
  createFileRegistry,
  type DescMethod,
  type DescService,
  type FileRegistry,
  create,
  fromBinary,
} from '@bufbuild/protobuf';
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';
import {
  ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from '../../proto/gen/grpc/reflection/v1/reflection_pb.ts';
import { ServerReflection as ServerReflectionAlpha } from '../../proto/gen/grpc/reflection/v1alpha/reflection_pb.ts';
import { Code } from '../../sdk/index.ts';
import { type BytesTransport, createClient, EncodingTransport } from '../client.ts';
import { nearestName } from '../registry/nearest-name.ts';
import { StatusError } from '../status-error.ts';

type Question = ServerReflectionRequest['messageRequest'];
type Answer = ServerReflectionResponse['messageResponse'];

/** Files taken from one server at most; a real one has dozens, an endless chain of imports is an attack. */
const FILE_LIMIT = 5_000;

/** Thrown when a name is not there, with what is. */
export class NameNotServed extends Error {}

/** What a server says of itself by reflection: v1, or v1alpha where it knows no other. */
export class ReflectedServer {
  readonly #transport: BytesTransport;
  readonly #headers: readonly (readonly [string, string | Uint8Array])[];
  #service: typeof ServerReflection | typeof ServerReflectionAlpha = ServerReflection;

  /** @param headers - Sent with every question: servers guard reflection as they guard the rest. */
  constructor(transport: BytesTransport, headers: readonly (readonly [string, string | Uint8Array])[] = []) {
    this.#transport = transport;
    this.#headers = headers;
  }

  /** Full names of the services, sorted. */
  async services(): Promise<string[]> {
    const [answer] = await this.#ask([{ case: 'listServices', value: '*' }]);
    if (answer?.case !== 'listServicesResponse') throw refusal(answer, 'list_services');
    return answer.value.service.map(({ name }) => name).toSorted();
  }

  /**
   * Full name of the service that was meant: as it stands, or the only one whose last part is the name.
   *
   * @throws NameNotServed with the nearest name.
   */
  async serviceName(name: string): Promise<string> {
    const known = await this.services();
    if (known.includes(name)) return name;
    const [found, ...more] = known.filter((service) => service.endsWith(`.${name}`));
    if (found !== undefined && more.length === 0) return found;
    const near = nearestName(name, known) ?? found;
    const hint = near === undefined ? '' : ` Did you mean ${near}?`;
    throw new NameNotServed(`Service '${name}' is not served here.${hint} '--list' shows what is.`);
  }

  /** The method, with the types of everything its file reaches. @throws NameNotServed */
  async method(
    serviceName: string,
    methodName: string,
  ): Promise<{ method: DescMethod; types: FileRegistry }> {
    const types = await this.typesOf(serviceName);
    const service = types.getService(serviceName);
    if (service === undefined) throw new NameNotServed(`The server does not describe '${serviceName}'.`);
    return { method: methodOf(service, methodName), types };
  }

  /** Descriptors of the file that declares a symbol, and of all it imports. @throws NameNotServed */
  async typesOf(symbol: string): Promise<FileRegistry> {
    const files = new Map<string, FileDescriptorProto>();
    const [answer] = await this.#ask([{ case: 'fileContainingSymbol', value: symbol }]);
    this.#take(answer, files, symbol);
    for (let missing = missingOf(files); missing.length > 0; missing = missingOf(files)) {
      const answers = await this.#ask(missing.map((value) => ({ case: 'fileByFilename', value })));
      for (const [index, found] of answers.entries()) this.#take(found, files, missing[index] ?? '');
      if (files.size > FILE_LIMIT)
        throw new NameNotServed(`'${symbol}' imports more than ${FILE_LIMIT} files.`);
    }
    return createFileRegistry(create(FileDescriptorSetSchema, { file: importsFirst(files) }));
  }

  #take(answer: Answer | undefined, files: Map<string, FileDescriptorProto>, asked: string): void {
    if (answer?.case !== 'fileDescriptorResponse') throw refusal(answer, asked);
    for (const bytes of answer.value.fileDescriptorProto) {
      const file = fromBinary(FileDescriptorProtoSchema, bytes);
      files.set(file.name, file);
    }
    if (asked.endsWith('.proto') && !files.has(asked)) {
      throw new NameNotServed(`The server was asked for the file ${asked} and sent another.`);
    }
  }

  async #ask(questions: readonly Question[]): Promise<Answer[]> {
    try {
      return await this.#askOnce(questions);
    } catch (error) {
      if (!(error instanceof StatusError) || error.code !== Code.UNIMPLEMENTED) throw error;
      if (this.#service === ServerReflectionAlpha) {
        throw new NameNotServed('The server offers no reflection, so its methods cannot be found out.');
      }
      this.#service = ServerReflectionAlpha;
      return this.#ask(questions);
    }
  }

  async #askOnce(questions: readonly Question[]): Promise<Answer[]> {
    // Both versions have the same messages under two package names.
    const client = createClient(
      this.#service as typeof ServerReflection,
      new EncodingTransport(this.#transport),
    );
    const answers: Answer[] = [];
    const requests = each(questions.map((messageRequest) => ({ host: '', messageRequest })));
    for await (const answer of client.serverReflectionInfo(requests, { headers: this.#headers })) {
      answers.push(answer.messageResponse);
    }
    return answers;
  }
}

async function* each<Item>(items: readonly Item[]): AsyncGenerator<Item> {
  yield* items;
}

function missingOf(files: ReadonlyMap<string, FileDescriptorProto>): string[] {
  const imports = [...files.values()].flatMap(({ dependency }) => dependency);
  return [...new Set(imports)].filter((name) => !files.has(name));
}

function importsFirst(files: ReadonlyMap<string, FileDescriptorProto>): FileDescriptorProto[] {
  const ordered = new Set<FileDescriptorProto>();
  const visited = new Set<string>();
  const visit = (name: string): void => {
    const file = files.get(name);
    if (file === undefined || visited.has(name)) return;
    visited.add(name);
    for (const dependency of file.dependency) visit(dependency);
    ordered.add(file);
  };
  for (const name of files.keys()) visit(name);
  return [...ordered];
}

function methodOf(service: DescService, name: string): DescMethod {
  const found = service.methods.find((method) => method.name === name || method.localName === name);
  if (found !== undefined) return found;
  const names = service.methods.map((method) => method.name);
  const near = nearestName(name, names);
  throw new NameNotServed(
    `${service.typeName} has no method '${name}'; it has ${names.join(', ')}.${near === undefined ? '' : ` Did you mean ${near}?`}`,
  );
}

function refusal(answer: Answer | undefined, asked: string): Error {
  const text = answer?.case === 'errorResponse' ? answer.value.errorMessage : 'it gave no answer';
  return new NameNotServed(`The server does not describe '${asked}': ${text}`);
}
