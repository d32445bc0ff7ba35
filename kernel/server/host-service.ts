import { createFileRegistry, fromBinary, type JsonObject } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import type {
  AnnounceRequest,
  HostService,
  WriteLogsRequest,
} from '../../proto/gen/lamella/kernel/v1/host_service_pb.ts';
import type { CallContext, Secrets, ServiceImplementation } from '../../sdk/index.ts';
import { type CapabilityGuard, CapabilityUnknown } from '../capabilities/guard.ts';
import { isCapability } from '../capabilities/capability.ts';
import { MalformedRequest, NotAPlugin } from '../errors.ts';
import { TOKEN_HEADER } from '../kernel-link.ts';
import type { LogBook } from '../log-book.ts';
import type { KernelLogger } from '../logger.ts';
import type { ReportedMetrics } from '../reported-metrics.ts';
import { levelOf, wireLevel } from './log-methods.ts';
import type { RegisteredProcess, Registrations } from '../loader/registrations.ts';

/** Parts of the kernel that plugin processes may reach. */
export interface HostServiceParts {
  readonly registrations: Registrations;
  readonly log: KernelLogger;
  readonly logs: LogBook;
  readonly guard: CapabilityGuard;
  readonly reported: ReportedMetrics;
  readonly exposition: () => Promise<string>;
  readonly secretsFor: (process: RegisteredProcess) => Secrets;
  /** See `propagatedHeaders` of the kernel's configuration. */
  readonly propagatedHeaders: readonly string[];
}

/** HostService: what a plugin process asks of its kernel. Every method needs the token of a running instance. */
export function createHostService(parts: HostServiceParts): ServiceImplementation<typeof HostService> {
  const caller = (context: CallContext): RegisteredProcess => {
    const token = context.headers.get(TOKEN_HEADER);
    const found = typeof token === 'string' ? parts.registrations.find(token) : undefined;
    if (found === undefined) throw new NotAPlugin({});
    return found;
  };
  return {
    getInstance: (_request, context) => {
      const { manifest, config, storageDirectory } = caller(context);
      const { id, version, capabilities } = manifest;
      return {
        pluginId: id,
        version,
        config: config as JsonObject,
        storageDirectory,
        ...(capabilities === undefined ? {} : { capabilities }),
        logLevel: wireLevel(parts.logs.level(id)),
        propagatedHeaders: [...parts.propagatedHeaders],
        manifest,
      };
    },
    announce: (request, context) => {
      announce(caller(context), request);
      return {};
    },
    getSecret: ({ name }, context) => ({ value: parts.secretsFor(caller(context)).get(name) }),
    checkCapability: ({ capability, target, denied }, context) => {
      const { manifest } = caller(context);
      if (!isCapability(capability)) throw new CapabilityUnknown({ capability: capability.slice(0, 100) });
      if (denied) parts.guard.deny(manifest.id, capability, target);
      parts.guard.require(manifest.id, capability, target);
      return {};
    },
    getExposition: async (_request, context) => {
      caller(context);
      return { text: await parts.exposition() };
    },
    writeLogs: async (requests, context) => {
      const { id } = caller(context).manifest;
      await writeLogs(requests, parts.log.child({ plugin: id }));
      return {};
    },
    reportMetrics: ({ families }, context) => {
      const instance = caller(context);
      parts.reported.report(instance, instance.manifest.id, families);
      return {};
    },
  };
}

async function writeLogs(requests: AsyncIterable<WriteLogsRequest>, log: KernelLogger): Promise<void> {
  for await (const { entries } of requests) {
    for (const { level, message, fields } of entries) log[levelOf(level) ?? 'info'](message, fields);
  }
}

function announce(process: RegisteredProcess, request: AnnounceRequest): void {
  try {
    const set = fromBinary(FileDescriptorSetSchema, request.fileDescriptorSet);
    const registry = createFileRegistry(set);
    process.servesHttp = request.http;
    process.announced = request.services.flatMap(({ service }) => registry.getService(service) ?? []);
  } catch (cause) {
    throw new MalformedRequest(
      { type: 'google.protobuf.FileDescriptorSet', reason: (cause as Error).message },
      { cause },
    );
  }
}
