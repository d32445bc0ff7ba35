import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { ModelVersion } from 'lamella/proto/lamella/model/v1/model';
import type { RegistryService } from 'lamella/proto/lamella/model/v1/registry_service';
import type { CallOptions, Client } from 'lamella/sdk';

const MAX_MODELS = 50;
const MAX_VERSIONS = 20;

/** A model as the page shows it. */
export interface ModelView {
  readonly model: string;
  /** Version number by alias. */
  readonly aliases: Readonly<Record<string, number>>;
  /** Newest first. */
  readonly versions: readonly VersionView[];
}

/** A version as the page shows it. */
export interface VersionView {
  readonly version: number;
  readonly aliases: readonly string[];
  readonly metrics: Readonly<Record<string, number>>;
  readonly sizeBytes: number;
  /** Milliseconds since the epoch. */
  readonly timeMs: number | undefined;
}

/** Models with their newest versions. */
export async function listModels(
  registry: Client<typeof RegistryService>,
  options: CallOptions,
): Promise<readonly ModelView[]> {
  const { models } = await registry.listModels({ pageSize: MAX_MODELS }, options);
  return Promise.all(
    models.map(async ({ name, aliases }): Promise<ModelView> => {
      const { versions } = await registry.listVersions({ parent: name, pageSize: MAX_VERSIONS }, options);
      return {
        model: name.slice('models/'.length),
        aliases: Object.fromEntries(
          Object.entries(aliases).map(([alias, version]) => [alias, Number(version)]),
        ),
        versions: versions.map(versionView),
      };
    }),
  );
}

function versionView({ version, aliases, metrics, sizeBytes, createTime }: ModelVersion): VersionView {
  return {
    version: Number(version),
    aliases,
    metrics,
    sizeBytes: Number(sizeBytes),
    timeMs: createTime === undefined ? undefined : timestampMs(createTime),
  };
}
