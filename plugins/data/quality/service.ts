import type { QualityService } from 'lamella/proto/lamella/data/v1/quality_service';
import type { ServiceImplementation } from 'lamella/sdk';
import type { Inspector } from './inspector.ts';

/** QualityService over an inspector. */
export function qualityService(inspector: Inspector): ServiceImplementation<typeof QualityService> {
  return {
    profile: (request, context) => inspector.profile(request, context),
    check: (request, context) => inspector.check(request, context),
    suggestRules: async ({ version }, context) => ({ rules: await inspector.suggest(version, context) }),
    detectDrift: (request, context) => inspector.drift(request, context),
  };
}
