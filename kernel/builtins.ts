import { setTimeout } from 'node:timers/promises';
import { AccessService } from '../proto/gen/lamella/kernel/v1/access_service_pb.ts';
import { EventService } from '../proto/gen/lamella/kernel/v1/event_service_pb.ts';
import { HostService } from '../proto/gen/lamella/kernel/v1/host_service_pb.ts';
import { PluginService } from '../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { ServerReflection } from '../proto/gen/grpc/reflection/v1/reflection_pb.ts';
import { ServerReflection as ServerReflectionAlpha } from '../proto/gen/grpc/reflection/v1alpha/reflection_pb.ts';
import { OpenRcaService } from '../proto/gen/xds/service/orca/v3/orca_pb.ts';
import type { Secrets } from '../sdk/index.ts';
import type { OpenedAccess } from './access/open-access.ts';
import { builtin, builtinSlot } from './builtin.ts';
import type { KernelParts } from './container.ts';
import type { PluginHistory } from './loader/history.ts';
import type { Lifecycle } from './loader/lifecycle.ts';
import type { Loader } from './loader/loader.ts';
import type { RegisteredProcess } from './loader/registrations.ts';
import type { Routes } from './loader/routes.ts';
import type { LoadReportsConfig } from './mesh-config.ts';
import type { PluginMemory } from './plugin-memory.ts';
import type { ServiceMemory } from './service-memory.ts';
import { createAccessService } from './server/access-service.ts';
import { createEventService } from './server/event-service.ts';
import { createHealthService, type HealthRegistry } from './server/health.ts';
import { createHostService } from './server/host-service.ts';
import { createLoadReportService } from './server/load-report-service.ts';
import { createPluginService } from './server/plugin-service.ts';
import { createReflectionServices } from './server/reflection.ts';
import { KERNEL_VERSION } from './version.ts';

/** What the kernel's own services work on. */
export interface BuiltinParts extends KernelParts {
  readonly access: () => OpenedAccess;
  readonly loader: Loader;
  readonly lifecycle: Lifecycle;
  readonly history: PluginHistory;
  readonly routes: Routes;
  readonly health: HealthRegistry;
  readonly memory: PluginMemory;
  readonly config: { readonly loadReports: LoadReportsConfig };
  readonly propagatedHeaders: readonly string[];
  readonly service: ServiceMemory;
  readonly secretsFor: (process: RegisteredProcess) => Secrets;
}

/** Puts the kernel's own services behind routes like those of any plugin. */
export function createBuiltins(parts: BuiltinParts): void {
  const { routes, memory } = parts;
  const health = createHealthService(parts.health);
  const reflection = createReflectionServices(() => routes.descriptors.values());
  const services = [
    builtin(
      PluginService,
      createPluginService({
        ...parts,
        descriptors: routes.descriptors,
        remember: (record) => memory.remember(record),
        forget: (id) => memory.forget(id),
        saved: () => parts.service.saved(),
      }),
    ),
    builtin(HostService, createHostService({ ...parts, exposition: () => parts.metrics.exposition() })),
    builtin(AccessService, createAccessService(parts.access)),
    builtin(EventService, createEventService(parts.events, parts.guard, parts.registrations)),
    builtin(health.service, health.implementation),
    builtin(OpenRcaService, loadReportService(parts)),
    builtin(ServerReflection, reflection.v1),
    builtin(ServerReflectionAlpha, reflection.v1alpha),
  ];
  const slot = builtinSlot(services, KERNEL_VERSION);
  for (const { service } of services) {
    parts.router.add(service.typeName, '', slot);
    routes.describe(service);
    parts.health.set(service.typeName, 'SERVING');
  }
}

function loadReportService(parts: BuiltinParts): ReturnType<typeof createLoadReportService> {
  const { loadReports: reports, loader, config } = parts;
  const { minIntervalMs, perCall } = config.loadReports;
  reports.open({ perCall, records: () => loader.records });
  return createLoadReportService({
    reports,
    minIntervalMs,
    wait: (ms, signal) => setTimeout(ms, undefined, { signal }),
  });
}
