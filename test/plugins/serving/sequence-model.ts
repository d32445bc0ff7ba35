import { ElementType, encodeModel, finishModel, GraphBuilder, intAttribute } from 'lamella/sdk/onnx';

/**
 * Adds up what a sequence sends: `total` = `value` + `before`, both FP32 [-1,1]; `seen` is `total` + 100 for the first
 * request, + 1000 for the last, + 10000 times the id.
 */
export function sumModel(): Uint8Array {
  const graph = new GraphBuilder();
  const port = (name: string, type: ElementType): ReturnType<GraphBuilder['input']> =>
    graph.input(name, { type, shape: ['batch', 1] });
  const value = port('value', ElementType.FLOAT);
  const before = port('before', ElementType.FLOAT);
  const start = graph.apply('Cast', [port('start', ElementType.INT32)], {
    to: intAttribute(ElementType.FLOAT),
  });
  const end = port('end', ElementType.FLOAT);
  const id = graph.apply('Cast', [port('id', ElementType.UINT64)], { to: intAttribute(ElementType.FLOAT) });
  const total = graph.apply('Add', [value, before]);
  graph.output('total', total);
  const signals = [
    graph.apply('Mul', [start, graph.scalar(100)]),
    graph.apply('Mul', [end, graph.scalar(1_000)]),
    graph.apply('Mul', [id, graph.scalar(10_000)]),
  ];
  graph.output(
    'seen',
    signals.reduce((sum, signal) => graph.apply('Add', [sum, signal]), total),
  );
  return encodeModel(finishModel(graph.finish('sum')));
}

/** A control input of a configuration. */
export const control = (name: string, kind: string, extra: object): object => ({
  name,
  control: [{ kind, ...extra }],
});

/** Its configuration in JSON, with changes to the part about sequences. */
export function sumConfig(change: object = {}): string {
  return JSON.stringify({
    max_batch_size: 4,
    sequence_batching: {
      oldest: { max_candidate_sequences: 8 },
      max_sequence_idle_microseconds: 60_000_000,
      control_input: [
        control('start', 'CONTROL_SEQUENCE_START', { int32_false_true: [0, 1] }),
        control('end', 'CONTROL_SEQUENCE_END', { fp32_false_true: [0, 1] }),
        control('id', 'CONTROL_SEQUENCE_CORRID', { data_type: 'TYPE_UINT64' }),
      ],
      state: [{ input_name: 'before', output_name: 'total', data_type: 'TYPE_FP32', dims: [1] }],
      ...change,
    },
  });
}
