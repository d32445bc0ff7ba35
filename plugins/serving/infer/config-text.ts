import { fromJson, type JsonValue } from '@bufbuild/protobuf';
import { fromText } from '@bufbuild/protobuf/txtpb';
import { type ModelConfig, ModelConfigSchema } from 'lamella/proto/inference/model_config';
import { ModelLoadFailed } from './errors.ts';

/** Largest configuration that is read, in bytes. */
export const MAX_CONFIG_BYTES: number = 1_048_576;

/** Reads a `config.pbtxt`. @throws MODEL_LOAD_FAILED with the place of the mistake */
export function readConfigText(model: string, text: string): ModelConfig {
  return parsed(model, 'config.pbtxt is not valid', () => fromText(ModelConfigSchema, text));
}

/** Reads a configuration in JSON, as loads carry it. @throws MODEL_LOAD_FAILED */
export function readConfigJson(model: string, text: string): ModelConfig {
  if (Buffer.byteLength(text) > MAX_CONFIG_BYTES) {
    const problem = `the configuration has more than ${MAX_CONFIG_BYTES} bytes`;
    throw new ModelLoadFailed({ model, problem });
  }
  return parsed(model, "parameter 'config' is no model configuration in JSON", () =>
    fromJson(ModelConfigSchema, JSON.parse(text) as JsonValue),
  );
}

function parsed(model: string, what: string, parse: () => ModelConfig): ModelConfig {
  try {
    return parse();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ModelLoadFailed({ model, problem: `${what}: ${why}` }, { cause: error });
  }
}
