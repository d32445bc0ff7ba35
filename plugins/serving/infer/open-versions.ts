import { create } from '@bufbuild/protobuf';
import type { CallContext } from 'lamella/sdk';
import {
  type ModelConfig,
  type ModelVersionPolicy,
  ModelVersionPolicySchema,
} from 'lamella/proto/inference/model_config';
import { backendOf } from './backend-config.ts';
import type { InferConfig } from './config.ts';
import type { InferStep } from './ensemble-executor.ts';
import { ensembleSteps } from './ensemble-plan.ts';
import { readConfigJson, readConfigText } from './config-text.ts';
import { ModelLoadFailed } from './errors.ts';
import type { InferMetrics } from './infer-metrics.ts';
import type { LoadedModel } from './loaded-model.ts';
import type { ModelCache } from './model-cache.ts';
import type { ModelFile, ModelFiles } from './model-files.ts';
import type { LoadRecord, ModelSources } from './model-sources.ts';
import { openBackendModel } from './open-backend-model.ts';
import { openEnsemble, openModel } from './open-model.ts';
import type { RequestObserver } from './request-observer.ts';
import type { RateLimiter } from './rate-limiter.ts';
import { assertSupported } from './supported-config.ts';
import { chosenVersions } from './version-policy.ts';

/** A model as it is loaded: one version or several. */
export interface LoadedVersions {
  /** Versions by number in text, ascending. */
  readonly versions: ReadonlyMap<string, LoadedModel>;
  /** The one that answers when a request names none. */
  readonly newest: LoadedModel;
  /** Where it came from. */
  readonly record: LoadRecord;
  /** Number of its last use: of two models, the one used later has the higher one. */
  lastUse: number;
}

/** What is opened. */
export interface OpenVersionsRequest {
  /** Model name. */
  readonly name: string;
  /** Where it comes from. */
  readonly record: LoadRecord;
  /** All places. */
  readonly sources: ModelSources;
  /** True when it is loaded for the step of an ensemble. */
  readonly isStep: boolean;
  /** What is loaded now; versions that would be the same are taken from it. */
  readonly before: LoadedVersions | undefined;
  /** Options of the plugin. */
  readonly options: InferConfig;
  /** Where requests are counted. */
  readonly metrics: InferMetrics;
  /** Calls the models of the steps of an ensemble. */
  readonly inferStep: InferStep;
  /** Loads a model that an ensemble needs, unless it is loaded. */
  readonly loadStep: (model: string) => Promise<void>;
  /** What shares resources between models; `undefined` when nothing does. */
  readonly limiter: RateLimiter | undefined;
  /** Told of each request. */
  readonly observer: RequestObserver;
  /** Where answers of models that want it are kept. */
  readonly cache: ModelCache;
  /** The call that asks for it. */
  readonly context?: CallContext | undefined;
  /** Ends the wait. */
  readonly signal: AbortSignal;
}

/** Opens all versions that the policy chooses, or none. @throws MODEL_LOAD_FAILED MODEL_NOT_REGISTERED */
export async function openVersions(request: OpenVersionsRequest): Promise<LoadedVersions> {
  const { name, record, sources, context } = request;
  const sent = record.config === undefined ? undefined : readConfigJson(name, record.config);
  const files = await sources.open(name, record, {
    allVersions: sent?.versionPolicy !== undefined,
    context,
  });
  const config = sent ?? readConfigText(name, files.configText ?? '');
  assertSupported(name, config);
  await loadSteps(request, config);
  const chosen = chosenVersions(name, files.versions, config.versionPolicy);
  const isPinned = record.source === 'registry' && config.versionPolicy === undefined;
  config.versionPolicy ??= defaultPolicy(record, chosen);
  const versions = await openAll({ ...request, files, given: config, chosen });
  const newest = [...versions.values()].at(-1);
  if (newest === undefined) throw new TypeError('A policy chooses one version at least.');
  // The version that an alias stands for stays the same until the next load.
  const { isEvicted: _gone, ...kept } = isPinned ? { ...record, version: newest.shape.version } : record;
  return { versions, newest, record: kept, lastUse: 0 };
}

async function loadSteps(
  { name, isStep, loadStep }: OpenVersionsRequest,
  config: ModelConfig,
): Promise<void> {
  const steps = ensembleSteps(config);
  if (isStep && steps.length > 0) {
    // Two that load each other would wait for each other.
    const problem = 'it is an ensemble within an ensemble; load it first';
    throw new ModelLoadFailed({ model: name, problem });
  }
  for (const { modelName } of steps) await loadStep(modelName);
}

interface Chosen extends OpenVersionsRequest {
  readonly files: ModelFiles;
  readonly given: ModelConfig;
  readonly chosen: readonly number[];
}

async function openAll(request: Chosen): Promise<Map<string, LoadedModel>> {
  const { files, before, record } = request;
  const versions = new Map<string, LoadedModel>();
  const opened: LoadedModel[] = [];
  try {
    for (const version of request.chosen) {
      const file = await fileOf(request, version);
      const origin = [file.fingerprint, files.sharedFingerprint, record.config ?? ''].join('\n');
      const same = before?.versions.get(String(version));
      if (same?.origin === origin) {
        versions.set(String(version), same);
        continue;
      }
      const facts = { ...request, version, file, origin };
      const model = await openOne(facts);
      opened.push(model);
      versions.set(String(version), model);
    }
    return versions;
  } catch (error) {
    await Promise.all(opened.map((model) => model.close()));
    throw error;
  }
}

type VersionFacts = Parameters<typeof openEnsemble>[0] & Parameters<typeof openModel>[0] & Chosen;

function openOne(facts: VersionFacts): Promise<LoadedModel> {
  if (isEnsemble(facts.given)) return openEnsemble(facts);
  const backend = backendOf(facts.name, facts.given);
  return backend === undefined
    ? openModel(facts)
    : openBackendModel({ ...facts, backend, backends: facts.sources.backends });
}

/** The file of a version; a model that a plugin runs need not have one in its folder. */
async function fileOf({ name, given, files, record }: Chosen, version: number): Promise<ModelFile> {
  if (isEnsemble(given)) return NO_FILE;
  const isOnnx = backendOf(name, given) === undefined;
  if (!isOnnx && given.defaultModelFilename === '' && record.source !== 'registry') return NO_FILE;
  return files.versionFile(version, given.defaultModelFilename || 'model.onnx');
}

function isEnsemble({ schedulingChoice }: ModelConfig): boolean {
  return schedulingChoice.case === 'ensembleScheduling';
}

/** An ensemble has no file of its own. */
const NO_FILE: ModelFile = { fingerprint: '', read: () => Promise.resolve(new Uint8Array()) };

function defaultPolicy({ source }: LoadRecord, chosen: readonly number[]): ModelVersionPolicy {
  const policyChoice =
    source === 'registry'
      ? { case: 'specific' as const, value: { versions: chosen.map(BigInt) } }
      : { case: 'latest' as const, value: { numVersions: 1 } };
  return create(ModelVersionPolicySchema, { policyChoice });
}
