import type { Audit } from '../access/audit.ts';
import type { KernelConfig } from '../config-schema.ts';
import type { CapabilityGuard } from './guard.ts';

/** What connects the guard with the rest of the kernel. */
export interface OpenGuardParts {
  readonly guard: CapabilityGuard;
  readonly home: string;
  readonly config: KernelConfig;
  readonly clock: { now(): number };
  readonly log: { warn(message: string, fields: Readonly<Record<string, unknown>>): void };
  /** The audit, once there is one. */
  readonly audit: () => Audit | undefined;
}

/** Gives the guard the operator's grants; denials go to the audit and to the log. */
export function openGuard({ guard, home, config, clock, log, audit }: OpenGuardParts): void {
  guard.open({
    home,
    clock,
    settings: (pluginId) => config.plugins[pluginId]?.capabilities,
    onDenied: ({ pluginId, capability, target }, reason) => {
      log.warn('a plugin was denied a capability', { plugin: pluginId, capability, reason });
      audit()?.record({
        action: 'denied',
        principal: `plugin:${pluginId}`,
        operation: `${capability} ${target}`,
        rule: `plugins.${pluginId}.capabilities.${capability}`,
        reason,
        peer: pluginId,
      });
    },
  });
}
