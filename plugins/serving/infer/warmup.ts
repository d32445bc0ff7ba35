import { randomFillSync } from 'node:crypto';
import type { OrtTensor, OrtTensors } from 'lamella/sdk/ort';
import { elementsOf, numberView } from 'lamella/sdk/ort';
import type { ModelConfig, ModelWarmup, ModelWarmup_Input } from 'lamella/proto/inference/model_config';
import { readBytesTensor } from './bytes-tensor.ts';
import { datatypeOfConfig } from './datatype.ts';
import { ModelLoadFailed } from './errors.ts';
import type { ModelFiles } from './model-files.ts';

/** Largest input of a warm-up, in bytes. */
const MOST_BYTES = 256 * 1_024 * 1_024;
const MOST_RUNS = 10_000;

/**
 * Runs the samples of `model_warmup`, so that the first request does not pay for what the runtime does once.
 *
 * @throws MODEL_LOAD_FAILED when a sample does not fit or does not run
 */
export async function warmUp(
  config: ModelConfig,
  files: ModelFiles,
  run: (tensors: OrtTensors) => Promise<unknown>,
): Promise<void> {
  for (const sample of config.modelWarmup) {
    const fail = (problem: string, cause?: unknown): Error =>
      new ModelLoadFailed({ model: config.name, problem: `warm-up '${sample.name}' ${problem}` }, { cause });
    const count = Math.max(1, sample.count);
    if (count > MOST_RUNS) throw fail(`has more than ${MOST_RUNS} runs`);
    if (sample.batchSize > Math.max(1, config.maxBatchSize)) throw fail('has more rows than max_batch_size');
    const tensors = await sampleTensors(config, sample, { files, fail });
    for (let turn = 0; turn < count; turn += 1) {
      await run(tensors).catch((error: unknown) => {
        throw fail(`failed: ${error instanceof Error ? error.message : String(error)}`, error);
      });
    }
  }
}

interface SampleParts {
  readonly files: ModelFiles;
  readonly fail: (problem: string, cause?: unknown) => Error;
}

async function sampleTensors(
  config: ModelConfig,
  sample: ModelWarmup,
  { files, fail }: SampleParts,
): Promise<OrtTensors> {
  const tensors: Record<string, OrtTensor> = {};
  for (const [name, input] of Object.entries(sample.inputs)) {
    const dims = input.dims.map(Number);
    if (config.maxBatchSize > 0) dims.unshift(Math.max(1, sample.batchSize));
    if (input.dataType === 0) throw fail(`has no data_type for '${name}'`);
    const { element, sizeBytes } = datatypeOfConfig(input.dataType);
    const bytes = elementsOf(dims) * Math.max(1, sizeBytes);
    if (!dims.every((size) => size >= 0) || bytes > MOST_BYTES) throw fail(`has unusable dims for '${name}'`);
    const data =
      sizeBytes === 0
        ? await texts(input, { name, count: elementsOf(dims), files })
        : numberView(element, await content(input, bytes, files));
    if (data.length !== elementsOf(dims)) throw fail(`has a file for '${name}' of another size`);
    tensors[name] = { type: element, dims, data };
  }
  return tensors;
}

async function content(input: ModelWarmup_Input, sizeBytes: number, files: ModelFiles): Promise<Uint8Array> {
  const { case: kind, value } = input.inputDataType;
  if (kind === 'inputDataFile') {
    const bytes = await files.sharedFile(`warmup/${value}`);
    // A size that fits no whole number of elements is reported as another size.
    return bytes.byteLength === sizeBytes ? bytes : new Uint8Array(0);
  }
  const bytes = new Uint8Array(sizeBytes);
  return kind === 'randomData' && value ? randomFillSync(bytes) : bytes;
}

async function texts(
  input: ModelWarmup_Input,
  { name, count, files }: { readonly name: string; readonly count: number; readonly files: ModelFiles },
): Promise<string[]> {
  const { case: kind, value } = input.inputDataType;
  if (kind === 'inputDataFile') return readBytesTensor(await files.sharedFile(`warmup/${value}`), name);
  return Array.from({ length: count }, () => (kind === 'randomData' && value ? String(Math.random()) : ''));
}
