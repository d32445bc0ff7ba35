import { create } from '@bufbuild/protobuf';
import { type Capabilities, CapabilitiesSchema } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';

/** Rights as people read them: what they reach, by their names in the manifest. */
export function listRights(
  capabilities: Capabilities = create(CapabilitiesSchema),
): Readonly<Record<string, readonly string[]>> {
  const { network, files, secrets, topics, services, gpu, httpPrefix, processes } = capabilities;
  return {
    network,
    files: files.map((file) => (file.write ? `${file.path} (write)` : file.path)),
    secrets,
    topics,
    services,
    gpu: gpu ? ['yes'] : [],
    httpPrefix: httpPrefix === '' ? [] : [httpPrefix],
    processes: processes ? ['yes'] : [],
  };
}
