import type { DescService } from '@bufbuild/protobuf';
import type { Manifest } from '../../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { isDeclaredError } from '../../../sdk/index.ts';
import { nearestName } from '../../registry/nearest-name.ts';
import { ProtoTextInvalid, ServiceUndescribed } from './errors.ts';

/**
 * Services that the `.proto` text of a plugin declares and its manifest provides; none when it ships no text.
 *
 * @throws PROTO_TEXT_INVALID, and SERVICE_UNDESCRIBED when the text lacks a service that the manifest provides.
 */
export async function shippedServices(
  manifest: Manifest,
  directory: string,
): Promise<readonly DescService[]> {
  if (manifest.protos.length === 0) return [];
  // Loaded on use: a kernel whose plugins bring their descriptors never pays for the parser.
  const [{ describeSources }, { readProtoSources }] = await Promise.all([
    import('./file-descriptors.ts'),
    import('./proto-sources.ts'),
  ]);
  const sources = await readProtoSources({ plugin: manifest.id, directory, protos: manifest.protos });
  const described = resolved(manifest, () => describeSources(sources));
  return manifest.provides.map(({ service }) => {
    const found = described.get(service);
    if (found === undefined) throw undescribed(manifest, service, [...described.keys()]);
    return found;
  });
}

function resolved(manifest: Manifest, describe: () => readonly DescService[]): Map<string, DescService> {
  try {
    return new Map(describe().map((service) => [service.typeName, service]));
  } catch (cause) {
    if (isDeclaredError(cause)) throw cause;
    throw new ProtoTextInvalid(
      {
        plugin: manifest.id,
        file: manifest.protos.join(', '),
        problem: `${(cause as Error).message}; correct the text.`,
      },
      { cause },
    );
  }
}

function undescribed(manifest: Manifest, service: string, known: readonly string[]): Error {
  const nearest = nearestName(service, known);
  const hint =
    nearest === undefined
      ? `the files under "protos" declare ${known.length === 0 ? 'no service' : known.join(', ')}.`
      : `the text has ${nearest}; use one name in both.`;
  return new ServiceUndescribed({ plugin: manifest.id, service, hint });
}

/**
 * What an instance serves: the shipped text, and what the process announced beyond it.
 *
 * @throws SERVICE_UNDESCRIBED for a service that neither describes: none of its methods could be called.
 */
export function allDescribed(
  manifest: Manifest,
  shipped: readonly DescService[],
  announced: readonly DescService[],
): readonly DescService[] {
  const byName = new Map([...announced, ...shipped].map((service) => [service.typeName, service]));
  for (const { service } of manifest.provides) {
    if (byName.has(service)) continue;
    throw new ServiceUndescribed({
      plugin: manifest.id,
      service,
      hint: 'name its file under "protos" in plugin.json, or announce descriptors to HostService.',
    });
  }
  return [...byName.values()];
}
