import { TfjsMissing } from './errors.ts';

/** The little of TensorFlow.js that is called here; its own types need those of a browser. */
export interface Tensor {
  readonly shape: readonly number[];
  data(): Promise<Float32Array | Int32Array>;
  dispose(): void;
}

/** An input or output of a layers model; `null` is a size that varies. */
export interface SymbolicTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly (number | null)[];
}

/** A model. */
export interface LayersModel {
  readonly inputs: readonly SymbolicTensor[];
  readonly outputs: readonly SymbolicTensor[];
  predict(inputs: readonly Tensor[]): Tensor | readonly Tensor[];
  dispose(): void;
}

/** TensorFlow.js, as far as it is used. */
export interface Tfjs {
  tensor(values: Float32Array | Int32Array, shape: readonly number[], type: 'float32' | 'int32'): Tensor;
  load(artifacts: object): Promise<LayersModel>;
}

interface Core {
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;
  tensor: Tfjs['tensor'];
}
interface Layers {
  loadLayersModel(source: { load(): Promise<object> }): Promise<LayersModel>;
}

let loaded: Promise<Tfjs> | undefined;

/** Loads TensorFlow.js when it is first needed. @throws TFJS_MISSING */
export function loadTfjs(): Promise<Tfjs> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<Tfjs> {
  try {
    // The packages are commonjs: what they export may stand under `default`.
    const core = unwrapped<Core>(await import('@tensorflow/tfjs-core'));
    const layers = unwrapped<Layers>(await import('@tensorflow/tfjs-layers'));
    await import('@tensorflow/tfjs-backend-cpu');
    await core.setBackend('cpu');
    await core.ready();
    return {
      tensor: (values, shape, type) => core.tensor(values, shape, type),
      load: (artifacts) => layers.loadLayersModel({ load: () => Promise.resolve(artifacts) }),
    };
  } catch (error) {
    loaded = undefined;
    throw new TfjsMissing({}, { cause: error });
  }
}

function unwrapped<Library>(module: object): Library {
  return ('default' in module ? module.default : module) as Library;
}
