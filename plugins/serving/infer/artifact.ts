import { createHash } from 'node:crypto';
import type { CallContext, Client } from 'lamella/sdk';
import { Code, isDeclaredError } from 'lamella/sdk';
import type { ModelVersion } from 'lamella/proto/lamella/model/v1/model';
import type { RegistryService } from 'lamella/proto/lamella/model/v1/registry_service';
import { ModelLoadFailed, ModelNotRegistered } from './errors.ts';

/** What is read and within which limits. */
export interface ArtifactRequest {
  /** Model id. */
  readonly model: string;
  /** Number of the version. */
  readonly version: string;
  /** Largest file that is accepted. */
  readonly maxBytes: number;
  /** The call on whose behalf it is read. */
  readonly context?: CallContext | undefined;
}

/** Reads an ONNX file from the registry and checks that it is whole. @throws MODEL_NOT_REGISTERED MODEL_LOAD_FAILED */
export async function readArtifact(
  registry: Client<typeof RegistryService>,
  request: ArtifactRequest,
): Promise<Uint8Array> {
  const { model } = request;
  const name = versionName(model, request.version);
  try {
    return await receive(registry, name, request);
  } catch (error) {
    if (isNotFound(error)) throw new ModelNotRegistered({ model, version: name }, { cause: error });
    throw error;
  }
}

async function receive(
  registry: Client<typeof RegistryService>,
  name: string,
  request: ArtifactRequest,
): Promise<Uint8Array> {
  const { model, maxBytes, context } = request;
  const chunks: Uint8Array[] = [];
  const hash = createHash('sha256');
  let sizeBytes = 0;
  let version: ModelVersion | undefined;
  for await (const message of registry.readArtifact({ name }, context === undefined ? {} : { context })) {
    version ??= message.version;
    sizeBytes += message.chunk.byteLength;
    if (sizeBytes > maxBytes) throw tooBig(model, maxBytes);
    hash.update(message.chunk);
    chunks.push(message.chunk);
  }
  if (version === undefined || (version.digest !== '' && version.digest !== hash.digest('hex'))) {
    const problem = 'its file arrived damaged from the model registry; try again, then register it again';
    throw new ModelLoadFailed({ model, problem });
  }
  return Buffer.concat(chunks);
}

function tooBig(model: string, maxBytes: number): Error {
  const problem = `its file has more than ${maxBytes} bytes; raise maxModelBytes of serving.infer`;
  return new ModelLoadFailed({ model, problem });
}

/** Resource name of a version given by number, alias or `latest`. */
export function versionName(model: string, version: string): string {
  const isVersion = version === 'latest' || /^[0-9]+$/.test(version);
  return `models/${model}/${isVersion ? 'versions' : 'aliases'}/${version}`;
}

/** True for NOT_FOUND, whether it was raised here or came over a link. */
export function isNotFound(error: unknown): boolean {
  if (isDeclaredError(error)) return error.code === Code.NOT_FOUND;
  return typeof error === 'object' && error !== null && 'code' in error && error.code === Code.NOT_FOUND;
}
