import { createRequire } from 'node:module';
import path from 'node:path';
import { type Digits, PIXELS } from './digits.ts';

const BATCH = 32;
const WARM_UP_STEPS = 10;

/** The little of TensorFlow.js that the benchmark calls; its own types need those of a browser. */
interface TensorFlow {
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;
  tensor2d(values: Float32Array, shape: readonly [number, number]): unknown;
  readonly train: { adam(learningRate: number): unknown };
}
interface Layers {
  sequential(options: { readonly layers: readonly unknown[] }): {
    compile(options: object): void;
    trainOnBatch(x: unknown, y: unknown): Promise<number>;
  };
  readonly layers: { dense(options: object): unknown };
}
interface Wasm {
  setWasmPaths(folder: string): void;
  setThreadsCount(count: number): void;
}

/** Rows a second of the same linear model, Adam and batch 32, in the fastest loop that TensorFlow.js offers. */
export async function trainWithTensorFlow(
  digits: Digits,
  steps: number,
  hidden: number = 0,
): Promise<number> {
  const require = createRequire(import.meta.url);
  const core = require('@tensorflow/tfjs-core') as TensorFlow;
  const layers = require('@tensorflow/tfjs-layers') as Layers;
  const wasm = require('@tensorflow/tfjs-backend-wasm') as Wasm;
  wasm.setWasmPaths(`${path.dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json'))}/dist/`);
  wasm.setThreadsCount(1);
  await core.setBackend('wasm');
  await core.ready();
  const { dense } = layers.layers;
  const stack =
    hidden === 0
      ? [dense({ units: 10, inputShape: [PIXELS], activation: 'softmax' })]
      : [
          dense({ units: hidden, inputShape: [PIXELS], activation: 'relu' }),
          dense({ units: 10, activation: 'softmax' }),
        ];
  const model = layers.sequential({ layers: stack });
  model.compile({ optimizer: core.train.adam(0.001), loss: 'categoricalCrossentropy' });
  const batches = Array.from({ length: 50 }, (_, batch) => batchOf(core, digits, batch));
  const step = async (index: number): Promise<void> => {
    const [x, y] = batches[index % batches.length] ?? [];
    await model.trainOnBatch(x, y);
  };
  for (let index = 0; index < WARM_UP_STEPS; index += 1) {
    await step(index);
  }
  const startMs = performance.now();
  for (let index = 0; index < steps; index += 1) {
    await step(index);
  }
  return Math.round((steps * BATCH * 1000) / (performance.now() - startMs));
}

function batchOf(core: TensorFlow, digits: Digits, batch: number): readonly [unknown, unknown] {
  const x = new Float32Array(BATCH * PIXELS);
  const y = new Float32Array(BATCH * 10);
  for (let place = 0; place < BATCH; place += 1) {
    // A prime stride mixes the classes, which stand one after the other.
    const row = ((batch * BATCH + place) * 7919) % digits.count;
    x.set(
      Float32Array.from(digits.images.subarray(row * PIXELS, (row + 1) * PIXELS), (value) => value / 255),
      place * PIXELS,
    );
    y[place * 10 + (digits.labels[row] ?? 0)] = 1;
  }
  return [core.tensor2d(x, [BATCH, PIXELS]), core.tensor2d(y, [BATCH, 10])];
}
