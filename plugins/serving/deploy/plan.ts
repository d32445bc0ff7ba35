import { Value } from '@sinclair/typebox/value';
import type { TSchema } from '@sinclair/typebox';
import type { CallContext, Client } from 'lamella/sdk';
import type { RegistryService } from 'lamella/proto/lamella/model/v1/registry_service';
import type { DeployRequest } from 'lamella/proto/lamella/serving/v1/deploy_service';
import { ArtifactIncomplete, OptionsInvalid, TargetUnknown, VersionNameInvalid } from './errors.ts';
import { readSpec } from './spec.ts';
import type { DeploymentPlan, FileSource, Target } from './target.ts';

/** The fields that Deploy, RenderDeployment and DiffDeployment have in common. */
export type PlanRequest = Pick<DeployRequest, 'modelVersion' | 'target' | 'spec' | 'options'>;

/** What a request asks for, and of which target. */
export interface Planned {
  readonly target: Target;
  readonly plan: DeploymentPlan;
}

const VERSION_NAME = /^models\/[a-z0-9][a-z0-9._-]{0,62}\/(?:versions|aliases)\/[a-z0-9_-]{1,63}$/;

/**
 * Checks a request and looks its version up, so that an alias becomes the number it points to now.
 *
 * @throws TARGET_UNKNOWN, OPTIONS_INVALID, VERSION_NAME_INVALID, SPEC_INVALID and what the registry says.
 */
export async function planOf(
  parts: { readonly registry: Client<typeof RegistryService>; readonly targets: readonly Target[] },
  request: PlanRequest,
  context: CallContext,
): Promise<Planned> {
  const target = findTarget(parts.targets, request.target === '' ? 'local' : request.target);
  const options = readOptions(target, request.options ?? {});
  const name = request.modelVersion;
  if (!VERSION_NAME.test(name)) throw new VersionNameInvalid({ name: name.slice(0, 200) });
  const { version } = await parts.registry.getVersion({ name }, { context });
  if (version === undefined) throw new VersionNameInvalid({ name });
  const { model } = version;
  const number = String(version.version);
  return {
    target,
    plan: {
      model,
      version: number,
      spec: readSpec(request.spec, model),
      options,
      artifact: artifactOf(parts.registry, `models/${model}/versions/${number}`, Number(version.sizeBytes)),
    },
  };
}

/** The target of a name. @throws TARGET_UNKNOWN */
export function findTarget(targets: readonly Target[], name: string): Target {
  const target = targets.find((candidate) => candidate.name === name);
  if (target !== undefined) return target;
  throw new TargetUnknown({
    target: name.slice(0, 100),
    known: targets.map((candidate) => candidate.name).join(', '),
  });
}

function readOptions(
  { name: target, options: schema }: Target,
  given: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const known = Object.keys(schema.properties);
  const stranger = Object.keys(given).find((option) => !known.includes(option));
  if (stranger !== undefined) {
    const problem = `it has no option '${stranger.slice(0, 100)}'; there are: ${known.join(', ') || 'none'}`;
    throw new OptionsInvalid({ target, problem });
  }
  const value = Value.Default(schema, structuredClone(given)) as Record<string, unknown>;
  for (const [option, kind] of Object.entries<TSchema>(schema.properties)) {
    if (value[option] === undefined || Value.Check(kind, value[option])) continue;
    throw new OptionsInvalid({
      target,
      problem: `'${option}' must be: ${kind.description ?? 'of its type'}`,
    });
  }
  return value;
}

function artifactOf(registry: Client<typeof RegistryService>, name: string, sizeBytes: number): FileSource {
  return {
    sizeBytes,
    async *read(context) {
      let readBytes = 0;
      for await (const { chunk } of registry.readArtifact({ name }, { context })) {
        readBytes += chunk.byteLength;
        yield chunk;
      }
      // The registry itself checks the digest.
      if (readBytes !== sizeBytes) throw new ArtifactIncomplete({ name, readBytes: String(readBytes) });
    },
  };
}
