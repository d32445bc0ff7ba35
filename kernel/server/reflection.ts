import { create, type DescFile, type DescService, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import type { ServerReflection } from '../../proto/gen/grpc/reflection/v1/reflection_pb.ts';
import {
  type ServerReflectionRequest,
  type ServerReflectionResponseSchema,
} from '../../proto/gen/grpc/reflection/v1/reflection_pb.ts';
import type { ServerReflection as ServerReflectionAlpha } from '../../proto/gen/grpc/reflection/v1alpha/reflection_pb.ts';
import { Code, type ServiceImplementation } from '../../sdk/index.ts';

/** Descriptors of what is served at this moment. */
export type DescriptorSource = () => Iterable<DescService>;

type Answer = NonNullable<MessageInitShape<typeof ServerReflectionResponseSchema>['messageResponse']>;

/** Reflection v1 and v1alpha over live descriptors: a plugin is described as soon as it serves. */
export function createReflectionServices(source: DescriptorSource): {
  v1: ServiceImplementation<typeof ServerReflection>;
  v1alpha: ServiceImplementation<typeof ServerReflectionAlpha>;
} {
  // Both versions have the same messages on the wire and in memory, under two package names.
  async function* serverReflectionInfo(
    requests: AsyncIterable<Pick<ServerReflectionRequest, 'host' | 'messageRequest'>>,
  ): AsyncGenerator<MessageInitShape<typeof ServerReflectionResponseSchema>> {
    for await (const { host, messageRequest } of requests) {
      yield {
        validHost: host,
        originalRequest: { host, messageRequest },
        messageResponse: answer(source, messageRequest),
      };
    }
  }
  return {
    v1: { serverReflectionInfo },
    v1alpha: {
      serverReflectionInfo: serverReflectionInfo as ServiceImplementation<
        typeof ServerReflectionAlpha
      >['serverReflectionInfo'],
    },
  };
}

function answer(source: DescriptorSource, request: ServerReflectionRequest['messageRequest']): Answer {
  switch (request.case) {
    case 'listServices':
      return {
        case: 'listServicesResponse',
        value: {
          service: [...source()]
            .map(({ typeName }) => ({ name: typeName }))
            .toSorted((a, b) => (a.name < b.name ? -1 : 1)),
        },
      };
    case 'fileByFilename':
      return file(files(source).get(request.value.replace(/\.proto$/, '')), request.value);
    case 'fileContainingSymbol':
      return file(bySymbol(source, request.value), request.value);
    case 'allExtensionNumbersOfType':
      // Nothing here is proto2, so no message has extensions; unknown types are told apart all the same.
      return bySymbol(source, request.value) === undefined
        ? notFound(request.value)
        : {
            case: 'allExtensionNumbersResponse',
            value: { baseTypeName: request.value, extensionNumber: [] },
          };
    case 'fileContainingExtension':
      return notFound(request.value.containingType);
    case undefined:
      return error(
        Code.INVALID_ARGUMENT,
        'The request names nothing to look up; set one of message_request.',
      );
  }
}

/** All files behind the served services, by name without `.proto`. */
function files(source: DescriptorSource): Map<string, DescFile> {
  const found = new Map<string, DescFile>();
  for (const service of source()) collect(service.file, found);
  return found;
}

function collect(descriptor: DescFile, found: Map<string, DescFile>): void {
  if (found.has(descriptor.name)) return;
  found.set(descriptor.name, descriptor);
  for (const dependency of descriptor.dependencies) collect(dependency, found);
}

function bySymbol(source: DescriptorSource, symbol: string): DescFile | undefined {
  for (const descriptor of files(source).values()) {
    if (names(descriptor).has(symbol)) return descriptor;
  }
  return undefined;
}

const nameCache: WeakMap<DescFile, Set<string>> = new WeakMap();

/** Full names of everything a file declares: services, methods, messages, fields, enums, values. */
function names(descriptor: DescFile): Set<string> {
  const cached = nameCache.get(descriptor);
  if (cached !== undefined) return cached;
  const found = new Set<string>();
  for (const { typeName, methods } of descriptor.services) {
    found.add(typeName);
    for (const method of methods) found.add(`${typeName}.${method.name}`);
  }
  const messages = [...descriptor.messages];
  for (const message of messages) {
    found.add(message.typeName);
    for (const field of message.fields) found.add(`${message.typeName}.${field.name}`);
    for (const { typeName } of message.nestedEnums) found.add(typeName);
    messages.push(...message.nestedMessages);
  }
  for (const { typeName } of descriptor.enums) found.add(typeName);
  nameCache.set(descriptor, found);
  return found;
}

/** The file with everything it imports, so that one answer is enough for most clients. */
function file(descriptor: DescFile | undefined, asked: string): Answer {
  if (descriptor === undefined) return notFound(asked);
  const found = new Map<string, DescFile>();
  collect(descriptor, found);
  return {
    case: 'fileDescriptorResponse',
    value: {
      fileDescriptorProto: [...found.values()].map(({ proto }) =>
        toBinary(FileDescriptorProtoSchema, create(FileDescriptorProtoSchema, proto)),
      ),
    },
  };
}

function notFound(asked: string): Answer {
  return error(Code.NOT_FOUND, `'${asked}' is not served here; list_services shows what is.`);
}

function error(errorCode: Code, errorMessage: string): Answer {
  return { case: 'errorResponse', value: { errorCode, errorMessage } };
}
