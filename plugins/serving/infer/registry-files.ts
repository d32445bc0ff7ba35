import type { CallContext, Client } from 'lamella/sdk';
import type { ModelVersion } from 'lamella/proto/lamella/model/v1/model';
import type { RegistryService } from 'lamella/proto/lamella/model/v1/registry_service';
import { isNotFound, readArtifact, versionName } from './artifact.ts';
import { ModelLoadFailed, ModelNotRegistered } from './errors.ts';
import type { ModelFiles } from './model-files.ts';

/** Which registered versions are meant. */
export interface RegisteredModel {
  /** Model id. */
  readonly model: string;
  /** A number, an alias or `latest`; `undefined` for all versions. */
  readonly version: string | undefined;
  /** Largest file that is accepted, in bytes. */
  readonly maxBytes: number;
  /** The call on whose behalf it is read. */
  readonly context?: CallContext | undefined;
}

const MODEL_ID = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/** The files of a model of the registry. @throws MODEL_NOT_REGISTERED */
export async function registryFiles(
  registry: Client<typeof RegistryService>,
  request: RegisteredModel,
): Promise<ModelFiles> {
  const { model, maxBytes, context } = request;
  if (!MODEL_ID.test(model)) {
    throw new ModelNotRegistered({ model: model.slice(0, 63), version: 'model of that name' });
  }
  const versions = new Map((await wanted(registry, request)).map((one) => [Number(one.version), one]));
  return {
    configText: undefined,
    sharedFingerprint: '',
    versions: [...versions.keys()].toSorted((left, right) => left - right),
    versionFile: async (version) => ({
      fingerprint: versions.get(version)?.digest ?? '',
      read: () => readArtifact(registry, { model, version: String(version), maxBytes, context }),
    }),
    sharedFile: () => {
      const problem = 'a model of the registry has no files beside its versions; put it into a folder';
      throw new ModelLoadFailed({ model, problem });
    },
  };
}

async function wanted(
  registry: Client<typeof RegistryService>,
  { model, version, context }: RegisteredModel,
): Promise<ModelVersion[]> {
  const options = context === undefined ? {} : { context };
  const name = version === undefined ? `models/${model}` : versionName(model, version);
  try {
    if (version !== undefined) {
      const { version: found } = await registry.getVersion({ name }, options);
      return found === undefined ? [] : [found];
    }
    const all: ModelVersion[] = [];
    let pageToken = '';
    do {
      const page = await registry.listVersions({ parent: name, pageSize: 1_000, pageToken }, options);
      all.push(...page.versions);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    return all;
  } catch (error) {
    if (isNotFound(error)) throw new ModelNotRegistered({ model, version: name }, { cause: error });
    throw error;
  }
}
