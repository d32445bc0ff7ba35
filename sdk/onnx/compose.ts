import { intAttribute } from './attribute.ts';
import { ElementType } from './element-type.ts';
import { ModelsNotComposable } from './errors.ts';
import { finishModel } from './finish-model.ts';
import type { OnnxAttribute, OnnxGraph, OnnxModel, OnnxNode, OnnxTensor, OnnxValueInfo } from './model.ts';
import { broadcastShapes, formatShape, typeOfInfo, type ValueType } from './value.ts';
import { GraphBuilder } from './graph-builder.ts';

/** A model's input or output with its type. */
export interface ModelPort extends ValueType {
  readonly name: string;
}

/** Inputs a caller must feed: those that are not initializers at the same time. */
export function modelInputs(model: OnnxModel): readonly ModelPort[] {
  const constants = new Set(model.graph.initializers.map((tensor) => tensor.name));
  return model.graph.inputs.filter(({ name }) => !constants.has(name)).map(toPort);
}

/** Outputs with their types. */
export function modelOutputs(model: OnnxModel): readonly ModelPort[] {
  return model.graph.outputs.map(toPort);
}

function toPort(info: OnnxValueInfo): ModelPort {
  return { name: info.name, ...(typeOfInfo(info) ?? { type: ElementType.UNDEFINED, shape: [] }) };
}

/**
 * Puts one model behind another: the single output of the first becomes the single input of the second.
 *
 * @remarks The result takes the first model's inputs and gives the second model's outputs, under their own names;
 * everything of the first that would clash is renamed. Works on any operators, since nothing is computed.
 * @throws MODELS_NOT_COMPOSABLE if ports or operator sets do not fit.
 */
export function chainModels(first: OnnxModel, second: OnnxModel): OnnxModel {
  const [output, ...otherOutputs] = modelOutputs(first);
  const [input, ...otherInputs] = modelInputs(second);
  if (output === undefined || input === undefined || otherOutputs.length + otherInputs.length > 0) {
    throw new ModelsNotComposable({
      detail: 'the first needs exactly one output and the second exactly one input',
    });
  }
  if (
    output.type !== input.type ||
    broadcastShapes(output.shape, input.shape)?.length !== input.shape.length
  ) {
    const types = `${output.type} ${formatShape(output.shape)} to ${input.type} ${formatShape(input.shape)}`;
    throw new ModelsNotComposable({
      detail: `output '${output.name}' does not feed input '${input.name}' (${types})`,
    });
  }
  const opsetImports = mergeOpsets(first, second);
  const namesBefore = new Set(first.graph.inputs.map(({ name }) => name));
  const namesAfter = new Set(second.graph.outputs.map(({ name }) => name));
  const taken = new Set([...namesBefore, ...namesAfter]);
  const renameFront = uniqueNames('front', namesBefore, taken);
  const renameBack = uniqueNames('back', namesAfter, taken);
  const front = renameValues(first.graph, renameFront);
  const back = renameValues(second.graph, (name) =>
    name === input.name ? renameFront(output.name) : renameBack(name),
  );
  return {
    ...second,
    irVersion: Math.max(first.irVersion, second.irVersion),
    opsetImports,
    metadata: [...first.metadata, ...second.metadata],
    graph: {
      name: second.graph.name,
      nodes: [...front.nodes, ...back.nodes],
      initializers: [...front.initializers, ...back.initializers],
      inputs: front.inputs,
      outputs: back.outputs,
      valueInfos: [],
    },
  };
}

function mergeOpsets(first: OnnxModel, second: OnnxModel): OnnxModel['opsetImports'] {
  const merged = new Map(first.opsetImports.map((opset) => [opset.domain, opset]));
  for (const opset of second.opsetImports) {
    const existing = merged.get(opset.domain);
    if (existing !== undefined && existing.version !== opset.version) {
      throw new ModelsNotComposable({
        detail: `they use versions ${existing.version} and ${opset.version} of operator set '${opset.domain || 'ai.onnx'}'`,
      });
    }
    merged.set(opset.domain, opset);
  }
  return [...merged.values()];
}

/** Gives each name a fresh one under a prefix, the same each time; names in `kept` stay. */
function uniqueNames(
  prefix: string,
  kept: ReadonlySet<string>,
  taken: Set<string>,
): (name: string) => string {
  const chosen = new Map<string, string>();
  return (name) => {
    const existing = kept.has(name) ? name : chosen.get(name);
    if (existing !== undefined) {
      return existing;
    }
    let fresh = `${prefix}/${name}`;
    while (taken.has(fresh)) {
      fresh = `${prefix}/${fresh}`;
    }
    taken.add(fresh);
    chosen.set(name, fresh);
    return fresh;
  };
}

/** Renames every value of a graph, also where subgraphs mention it. The empty name, an absent input, stays. */
function renameValues(graph: OnnxGraph, rename: (name: string) => string): OnnxGraph {
  const renamed = (name: string): string => (name === '' ? '' : rename(name));
  const named = <Item extends { readonly name: string }>(item: Item): Item => ({
    ...item,
    name: renamed(item.name),
  });
  const attribute = (value: OnnxAttribute): OnnxAttribute =>
    value.graph === undefined ? value : { ...value, graph: renameValues(value.graph, rename) };
  return {
    ...graph,
    nodes: graph.nodes.map((node): OnnxNode => {
      const { inputs, outputs, attributes } = node;
      return {
        ...node,
        inputs: inputs.map(renamed),
        outputs: outputs.map(renamed),
        attributes: attributes.map(attribute),
      };
    }),
    initializers: graph.initializers.map(named),
    inputs: graph.inputs.map(named),
    outputs: graph.outputs.map(named),
    valueInfos: graph.valueInfos.map(named),
  };
}

/** A model that turns class scores [N, classes] into `probabilities` FLOAT [N, classes] and `label` INT64 [N]. */
export function classifierHead(classes: number): OnnxModel {
  const builder = new GraphBuilder();
  const scores = builder.input('scores', { type: ElementType.FLOAT, shape: ['N', classes] });
  const label = builder.apply('ArgMax', [scores], { axis: intAttribute(-1), keepdims: intAttribute(false) });
  builder.output('probabilities', builder.apply('Softmax', [scores]));
  builder.output('label', label);
  return finishModel(builder.finish('classifier'));
}

/** Turns inputs into constants, for example a data set that stays with the session. Copies nothing. */
export function bindInputs(model: OnnxModel, tensors: readonly OnnxTensor[]): OnnxModel {
  const bound = new Set(tensors.map((tensor) => tensor.name));
  const { graph } = model;
  return {
    ...model,
    graph: {
      ...graph,
      inputs: graph.inputs.filter(({ name }) => !bound.has(name)),
      initializers: [...graph.initializers, ...tensors],
    },
  };
}
