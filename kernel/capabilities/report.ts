import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { GetCapabilitiesResponseSchema } from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import type { CapabilityGuard } from './guard.ts';

/** What a plugin asks for, has and does, as PluginService tells it. */
export function capabilitiesToProto(
  guard: CapabilityGuard,
  manifest: Manifest,
): MessageInitShape<typeof GetCapabilitiesResponseSchema> {
  const { capabilities: asked = {} } = manifest;
  const uses = guard.uses(manifest.id).map(({ capability, target, used, denied, lastMs }) => ({
    capability,
    target,
    used: BigInt(used),
    denied: BigInt(denied),
    lastTime: timestampFromMs(lastMs),
  }));
  return { asked, granted: guard.granted(manifest), uses };
}
