import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { GetCapabilitiesResponseSchema } from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import type { Generation } from '../loader/generation.ts';
import { isOwnPlugin } from '../packaging/own-plugins.ts';
import type { PluginRecord } from '../loader/record.ts';
import { enforcementOf } from './enforcement.ts';
import type { CapabilityGuard } from './guard.ts';

/** What a plugin asks for, has and does, as PluginService tells it. */
export function capabilitiesToProto(
  guard: CapabilityGuard,
  { manifest, active }: Pick<PluginRecord, 'manifest' | 'active'>,
): MessageInitShape<typeof GetCapabilitiesResponseSchema> {
  const { capabilities: asked = {} } = manifest;
  const uses = guard.uses(manifest.id).map(({ capability, target, used, denied, lastMs }) => ({
    capability,
    target,
    used: BigInt(used),
    denied: BigInt(denied),
    lastTime: timestampFromMs(lastMs),
  }));
  return { asked, granted: guard.granted(manifest), uses, heldBy: heldBy(active) };
}

function heldBy(active: Generation | undefined): Readonly<Record<string, string>> {
  if (active === undefined) return {};
  const { instance, manifest, directory } = active;
  return enforcementOf({
    isolation: instance.isolation,
    isProgram: (manifest.entry?.command.length ?? 0) > 0,
    isOwn: isOwnPlugin(directory),
    isHeldToFiles: instance.isHeldToFiles === true,
  });
}
