import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ElementType, encodeModel, finishModel, GraphBuilder, intAttribute } from 'lamella/sdk/onnx';

type Value = ReturnType<GraphBuilder['input']>;

const VALUES = 16;

/** Sum and difference of two inputs of 16 values; computed as INT32, whatever they are. */
function sumAndDifference(type: ElementType): Uint8Array {
  const graph = new GraphBuilder();
  const read = (name: string): Value =>
    cast(graph, graph.input(name, { type, shape: ['batch', VALUES] }), ElementType.INT32);
  const inputs = [read('INPUT0'), read('INPUT1')];
  graph.output('OUTPUT0', cast(graph, graph.apply('Add', inputs), type));
  graph.output('OUTPUT1', cast(graph, graph.apply('Sub', inputs), type));
  return encodeModel(finishModel(graph.finish('simple')));
}

/** OUTPUT is INPUT, 1 more at the start of a sequence, and the id of the sequence more at its end where there is one. */
function sequence(hasId: boolean): Uint8Array {
  const graph = new GraphBuilder();
  const port = (name: string, type: ElementType = ElementType.INT32): Value =>
    graph.input(name, { type, shape: ['batch', 1] });
  let sum = graph.apply('Add', [port('INPUT'), graph.apply('Mul', [port('START'), port('READY')])]);
  if (hasId) {
    const id = cast(graph, port('CORRID', ElementType.UINT64), ElementType.INT32);
    sum = graph.apply('Add', [sum, graph.apply('Mul', [port('END'), id])]);
  }
  graph.output('OUTPUT', sum);
  return encodeModel(finishModel(graph.finish('sequence')));
}

/** OUTPUT is the sum of a sequence, and its id, a number in text, more at its end. */
function textSequence(): Uint8Array {
  const graph = new GraphBuilder();
  const port = (name: string, type: ElementType = ElementType.INT32): Value =>
    graph.input(name, { type, shape: ['batch', 1] });
  const total = graph.apply('Add', [port('INPUT'), port('BEFORE')]);
  graph.output('TOTAL', total);
  const id = cast(graph, port('CORRID', ElementType.STRING), ElementType.INT32);
  graph.output('OUTPUT', graph.apply('Add', [total, graph.apply('Mul', [port('END'), id])]));
  return encodeModel(finishModel(graph.finish('text-sequence')));
}

function cast(graph: GraphBuilder, value: Value, type: ElementType): Value {
  return value.type === type ? value : graph.apply('Cast', [value], { to: intAttribute(type) });
}

const control = (name: string, kind: string, values: string): string =>
  `control_input { name: "${name}" control { kind: CONTROL_SEQUENCE_${kind} ${values} } }`;
const FLAGS = 'int32_false_true: [0, 1]';
const START = control('START', 'START', FLAGS);
const READY = control('READY', 'READY', FLAGS);
const END = control('END', 'END', FLAGS);

const sequenceConfig = (controls: string): string =>
  `max_batch_size: 8 sequence_batching { max_sequence_idle_microseconds: 5000000 ${controls} }`;

const IDENTITY = `backend: "identity" max_batch_size: 8
  input { name: "INPUT0" data_type: TYPE_STRING dims: -1 } output { name: "OUTPUT0" data_type: TYPE_STRING dims: -1 }`;

interface ExampleModel {
  readonly config: string;
  readonly file?: Uint8Array;
}

/** The models of Triton's examples that need no download, made here: what they take and give is the same. */
export function exampleModels(): Readonly<Record<string, ExampleModel>> {
  const batches = 'max_batch_size: 8';
  return {
    simple: { config: batches, file: sumAndDifference(ElementType.INT32) },
    simple_int8: { config: batches, file: sumAndDifference(ElementType.INT8) },
    simple_string: { config: batches, file: sumAndDifference(ElementType.STRING) },
    simple_identity: { config: IDENTITY },
    simple_sequence: { config: sequenceConfig(`${START} ${READY}`), file: sequence(false) },
    simple_dyna_sequence: {
      config: sequenceConfig(
        `oldest { max_candidate_sequences: 8 } ${START} ${READY} ${END} ${control('CORRID', 'CORRID', 'data_type: TYPE_UINT64')}`,
      ),
      file: sequence(true),
    },
    simple_string_dyna_sequence: {
      config: sequenceConfig(
        `oldest { max_candidate_sequences: 8 } ${END} ${control('CORRID', 'CORRID', 'data_type: TYPE_STRING')}
        state { input_name: "BEFORE" output_name: "TOTAL" data_type: TYPE_INT32 dims: 1 }`,
      ),
      file: textSequence(),
    },
    repeat_int32: { config: 'backend: "repeat"' },
  };
}

/** Writes them in Triton's layout. */
export async function writeExampleModels(folder: string): Promise<void> {
  for (const [name, { config, file }] of Object.entries(exampleModels())) {
    await mkdir(path.join(folder, name, '1'), { recursive: true });
    await writeFile(path.join(folder, name, 'config.pbtxt'), config);
    if (file !== undefined) await writeFile(path.join(folder, name, '1', 'model.onnx'), file);
  }
}
