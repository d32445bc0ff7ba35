import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  IsolationLevel,
  type Manifest,
  ManifestSchema,
} from '../../../proto/gen/lamella/kernel/v1/manifest_pb.ts';

/** A manifest in order, with what a test wants to be different. */
export function manifest(id: string, init: ManifestInit = {}): Manifest {
  return create(ManifestSchema, {
    id,
    version: '0.1.0',
    entry: { module: 'plugin.ts' },
    isolation: { preferred: IsolationLevel.INLINE },
    ...init,
  });
}

type ManifestInit = Pick<
  Exclude<MessageInitShape<typeof ManifestSchema>, Manifest>,
  'version' | 'kernel' | 'entry' | 'provides' | 'requires' | 'config'
>;
