import { setTimeout as wait } from 'node:timers/promises';
import { Batcher } from '../plugins/serving/infer/batcher.ts';
import { plainQueue, type QueuePolicies } from '../plugins/serving/infer/queue-policy.ts';
import { ElementType, encodeModel, finishModel, floatTensor, GraphBuilder } from '../sdk/onnx/index.ts';
import { openSession, type OrtSession } from '../sdk/ort/index.ts';

const ROUNDS = 3;
const ROUND_MS = 4_000;
const WARM_UP_MS = 1_000;
const DELAY_MS = 60;
const CALLERS: readonly number[] = [1, 6];

const WAYS: Readonly<Record<string, Partial<QueuePolicies>>> = {
  none: {},
  always: { maxDelayMs: DELAY_MS },
  measured: { maxDelayMs: DELAY_MS, isDelayMeasured: true },
};

interface Figure {
  readonly delay: string;
  readonly callers: number;
  /** One for each round. */
  readonly perSecond: readonly number[];
}

/** The delay of the batcher, off, on and by measurement, for a model whose runs cost much however few rows they have. */
export async function delayBenchmark(): Promise<object> {
  await using session = await openSession({ model: heavyModel() });
  const figures: Figure[] = [];
  for (const callers of CALLERS) {
    const byWay = new Map(Object.keys(WAYS).map((way) => [way, [] as number[]]));
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [way, perSecond] of byWay) perSecond.push(await measure(session, WAYS[way] ?? {}, callers));
    }
    for (const [delay, perSecond] of byWay) figures.push({ delay, callers, perSecond });
  }
  return {
    what: `requests a second of one row; closed loop, each caller thinks for 1 to 4 ms; longest delay ${DELAY_MS} ms; ${ROUNDS} rounds in turns`,
    figures,
  };
}

async function measure(
  session: OrtSession,
  change: Partial<QueuePolicies>,
  callers: number,
): Promise<number> {
  const batcher = new Batcher({
    model: 'heavy',
    slots: 1,
    policies: { ...plainQueue(1_000), ...change },
    batchable: true,
    maxBatchRows: 64,
    run: (tensors) => session.run(tensors),
    onRun: () => undefined,
  });
  const x = { type: 'float32' as const, dims: [1, 1], data: Float32Array.of(1) };
  const cancelError = (): Error => new Error('nobody cancels');
  const startMs = performance.now() + WARM_UP_MS;
  const endMs = startMs + ROUND_MS;
  let answered = 0;
  const caller = async (): Promise<void> => {
    for (let nowMs = 0; nowMs < endMs;) {
      await wait(1 + Math.random() * 3);
      await batcher.submit({ tensors: { x }, rows: 1, key: '', cancelError });
      nowMs = performance.now();
      if (nowMs >= startMs && nowMs < endMs) answered += 1;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return Math.round((answered / ROUND_MS) * 1_000);
}

/** Adds to each row what a chain of products of matrices gives, which takes as long for one row as for many. */
function heavyModel(): Uint8Array {
  const graph = new GraphBuilder();
  const x = graph.input('x', { type: ElementType.FLOAT, shape: ['batch', 1] });
  // It hangs on the input, so that nothing of it is computed beforehand.
  const seed = graph.apply('Mul', [graph.apply('ReduceMax', [x]), graph.scalar(0)]);
  const size = 256;
  const weights = new Float32Array(size * size).fill(1 / size);
  const matrix = graph.constant(floatTensor('weights', [size, size], weights));
  let value = graph.apply('Add', [matrix, seed]);
  for (let product = 0; product < 60; product += 1) value = graph.apply('MatMul', [value, value]);
  graph.output('y', graph.apply('Add', [x, graph.apply('ReduceMax', [value])]));
  return encodeModel(finishModel(graph.finish('heavy')));
}
