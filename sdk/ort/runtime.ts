import type { OrtData } from './tensor.ts';

// The package's own declarations need the DOM's types, which a program without skipLibCheck does not have; so the part
// that is used is declared here. Source: onnxruntime-common 1.30, lib/inference-session.ts and lib/tensor.ts.

/** A tensor of ONNX Runtime. */
export interface RuntimeTensor {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: OrtData;
}

/** Description of an input or output. */
export type RuntimeMetadata =
  | { readonly name: string; readonly isTensor: false }
  | {
      readonly name: string;
      readonly isTensor: true;
      readonly type: string;
      readonly shape: readonly (number | string)[];
    };

/** A loaded model. */
export interface RuntimeSession {
  readonly inputMetadata: readonly RuntimeMetadata[];
  readonly outputMetadata: readonly RuntimeMetadata[];
  run(feeds: Readonly<Record<string, RuntimeTensor>>): Promise<Readonly<Record<string, RuntimeTensor>>>;
}

/** The module onnxruntime-node. */
export interface Runtime {
  readonly Tensor: new (type: string, data: OrtData, dims: readonly number[]) => RuntimeTensor;
  readonly InferenceSession: {
    create(model: Uint8Array, options: Readonly<Record<string, unknown>>): Promise<RuntimeSession>;
  };
}

// Not a literal in the import, so that the compiler does not look for the declarations.
const PACKAGE: string = 'onnxruntime-node';

/** Loads the native library; called in a child process only. @throws Error if it is not installed for this platform. */
export async function loadRuntime(): Promise<Runtime> {
  const module: unknown = await import(PACKAGE);
  return module as Runtime;
}
