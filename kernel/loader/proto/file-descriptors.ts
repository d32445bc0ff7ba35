import { create, createFileRegistry, type DescFile, type DescService } from '@bufbuild/protobuf';
import * as wellKnown from '@bufbuild/protobuf/wkt';
import {
  Edition,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  type MethodDescriptorProto,
  MethodDescriptorProtoSchema,
  MethodOptions_IdempotencyLevel as IdempotencyLevel,
  type ServiceDescriptorProto,
  ServiceDescriptorProtoSchema,
} from '@bufbuild/protobuf/wkt';
import { fromJSON, type PackageDefinition, type ServiceDefinition } from '@grpc/proto-loader';
import protobuf from 'protobufjs';
import { enumDescriptor, fieldDescriptor, messageDescriptor } from './message-descriptor.ts';
import type { ProtoSource, ProtoSources } from './proto-sources.ts';

/** Files of the protobuf runtime by their import name; the parser has only abridged copies. */
const WELL_KNOWN: ReadonlyMap<string, DescFile> = new Map(
  Object.values(wellKnown)
    .filter(
      (value): value is DescFile => typeof value === 'object' && 'kind' in value && value.kind === 'file',
    )
    .map((file) => [file.proto.name, file]),
);

/**
 * Resolves parsed text and describes each service in it. What can be called comes from proto-loader's definitions; the
 * messages, which only reflection needs, from the same parsed text.
 *
 * @throws Error when a name does not resolve or the text says something impossible.
 */
export function describeSources({ root, files }: ProtoSources): DescService[] {
  const definition = fromJSON(root.toJSON() as Parameters<typeof fromJSON>[0], { keepCase: true });
  root.resolveAll();
  const protos = new Map(files.map((file) => [file.name, fileDescriptor(root, file, definition)]));
  const set = create(FileDescriptorSetSchema, { file: dependenciesFirst(protos) });
  return [...createFileRegistry(set).files]
    .filter(({ proto }) => !WELL_KNOWN.has(proto.name))
    .flatMap(({ services }) => services);
}

/** The order in which a registry takes files. */
function dependenciesFirst(protos: ReadonlyMap<string, FileDescriptorProto>): FileDescriptorProto[] {
  const done = new Map<string, FileDescriptorProto>();
  const visit = (name: string, importers: readonly string[]): void => {
    if (done.has(name)) return;
    const circle = importers.indexOf(name);
    if (circle >= 0)
      throw new Error(`files import each other: ${[...importers.slice(circle), name].join(' → ')}`);
    const proto = WELL_KNOWN.get(name)?.proto ?? protos.get(name);
    if (proto === undefined) throw new Error(`${name} is imported and not there`);
    for (const dependency of proto.dependency) visit(dependency, [...importers, name]);
    done.set(name, proto);
  };
  for (const name of protos.keys()) visit(name, []);
  return [...done.values()];
}

function fileDescriptor(
  root: protobuf.Root,
  file: ProtoSource,
  definition: PackageDefinition,
): FileDescriptorProto {
  const scope = file.package === '' ? root : root.lookup(file.package);
  const declared = (scope instanceof protobuf.Namespace ? scope.nestedArray : []).filter(
    ({ filename }) => filename === file.name,
  );
  return create(FileDescriptorProtoSchema, {
    name: file.name,
    package: file.package,
    dependency: [...file.imports],
    publicDependency: file.publicImports.map((name) => file.imports.indexOf(name)),
    messageType: declared.filter((child) => child instanceof protobuf.Type).map(messageDescriptor),
    enumType: declared.filter((child) => child instanceof protobuf.Enum).map(enumDescriptor),
    extension: declared
      .filter((child) => child instanceof protobuf.Field)
      .map((field) => fieldDescriptor(field)),
    service: declared
      .filter((child) => child instanceof protobuf.Service)
      .map((service) => serviceDescriptor(service, definition)),
    ...(file.syntax === '2023'
      ? { syntax: 'editions', edition: Edition.EDITION_2023 }
      : { syntax: file.syntax }),
  });
}

function serviceDescriptor(service: protobuf.Service, definition: PackageDefinition): ServiceDescriptorProto {
  const methods = definition[service.fullName.slice(1)] as ServiceDefinition;
  return create(ServiceDescriptorProtoSchema, {
    name: service.name,
    method: service.methodsArray.flatMap((method) => {
      const callable = methods[method.name];
      return callable === undefined ? [] : [methodDescriptor(method, callable)];
    }),
  });
}

function methodDescriptor(
  { name, resolvedRequestType, resolvedResponseType }: protobuf.Method,
  { requestStream, responseStream, options }: ServiceDefinition[string],
): MethodDescriptorProto {
  const level = options?.idempotency_level ?? 'IDEMPOTENCY_UNKNOWN';
  return create(MethodDescriptorProtoSchema, {
    name,
    inputType: resolvedRequestType?.fullName ?? '',
    outputType: resolvedResponseType?.fullName ?? '',
    ...(requestStream ? { clientStreaming: true } : {}),
    ...(responseStream ? { serverStreaming: true } : {}),
    ...(level === 'IDEMPOTENCY_UNKNOWN' ? {} : { options: { idempotencyLevel: IdempotencyLevel[level] } }),
  });
}
