import { type Attributes, attributeList } from './attribute.ts';
import { ElementType } from './element-type.ts';
import { OperatorUnsupported } from './errors.ts';
import type { OnnxGraph, OnnxNode, OnnxTensor, OnnxValueInfo } from './model.ts';
import { type BuiltNode, OperatorCall } from './operator.ts';
import { OPERATORS } from './operators/table.ts';
import { floatTensor, int64Tensor } from './tensor.ts';
import { type Value, valueInfo, type ValueType } from './value.ts';

/** Options of {@link GraphBuilder.call}. */
export interface CallNodeOptions {
  readonly attributes?: Attributes;
  /** How many outputs to name; by default one. */
  readonly outputCount?: number;
  /** Operator domain; only the default domain has known operators. */
  readonly domain?: string;
  /** Output types, for operators that the toolkit does not know or whose result depends on a subgraph. */
  readonly types?: readonly ValueType[];
}

/** A node whose list of outputs may still grow. */
interface OpenNode extends BuiltNode {
  readonly outputs: Value[];
}

/**
 * Builds a graph node by node and knows the type and shape of every value on the way.
 *
 * @remarks Names are unique over a builder and those nested in it, since a subgraph sees the values around it.
 */
export class GraphBuilder {
  readonly #names: Set<string>;
  readonly #nodes: OpenNode[] = [];
  readonly #initializers: OnnxTensor[] = [];
  readonly #shared = new Map<string, Value>();
  readonly #inputs: OnnxValueInfo[] = [];
  readonly #outputs: OnnxValueInfo[] = [];
  readonly #results: { readonly name: string; readonly value: Value }[] = [];

  /** @param outer - The builder whose values the new graph may use, when it becomes a subgraph. */
  constructor(outer?: GraphBuilder) {
    this.#names = outer === undefined ? new Set() : outer.#names;
  }

  /** Nodes so far, in topological order. */
  get nodes(): readonly BuiltNode[] {
    return this.#nodes;
  }

  /** Declares an input of the graph. */
  input(name: string, { type, shape }: ValueType): Value {
    const unique = this.#unique(name);
    this.#inputs.push(valueInfo(unique, { type, shape }));
    return { name: unique, type, shape };
  }

  /** Adds a constant; its name is changed when it is taken. */
  constant(tensor: OnnxTensor): Value {
    const named = { ...tensor, name: this.#unique(tensor.name) };
    this.#initializers.push(named);
    return { name: named.name, type: tensor.type, shape: tensor.dims, constant: named };
  }

  /** A float constant without dimensions; equal ones are shared. */
  scalar(value: number): Value {
    return this.#share(`f${value}`, () => floatTensor('scalar', [], [value]));
  }

  /** A list of int64 numbers, for shapes and axes; equal ones are shared. */
  integers(values: readonly number[]): Value {
    return this.#share(`i${values.join(',')}`, () => int64Tensor('integers', [values.length], values));
  }

  /** Applies an operator and returns its first output. @throws SHAPE_MISMATCH OPERATOR_UNSUPPORTED */
  apply(opType: string, inputs: readonly (Value | undefined)[], attributes: Attributes = {}): Value {
    const [output] = this.call(opType, inputs, { attributes });
    // Every operator has at least one output, which `call` has just named.
    return output as Value;
  }

  /** Applies an operator and returns as many outputs as asked for. @throws SHAPE_MISMATCH OPERATOR_UNSUPPORTED */
  call(
    opType: string,
    inputs: readonly (Value | undefined)[],
    options: CallNodeOptions = {},
  ): readonly Value[] {
    const { attributes = {}, outputCount = 1, domain = '' } = options;
    const types = options.types ?? inferTypes(opType, domain, { inputs, attributes });
    const outputs = types
      .slice(0, outputCount)
      .map(({ type, shape }): Value => ({ name: this.#unique(opType), type, shape }));
    this.#nodes.push({ opType, domain, inputs, outputs, attributes });
    return outputs;
  }

  /** Names one more, optional output of a node that is already in the graph, such as the indices of a MaxPool. */
  extend(node: BuiltNode): Value {
    const open = this.#nodes.find((candidate) => candidate === node);
    const type = inferTypes(node.opType, node.domain, node)[node.outputs.length];
    if (open === undefined || type === undefined) {
      throw new OperatorUnsupported({ operator: `${node.opType} with ${node.outputs.length + 1} outputs` });
    }
    const output = { name: this.#unique(node.opType), ...type };
    open.outputs.push(output);
    return output;
  }

  /** Makes a value an output of the graph under a name of its own. */
  output(name: string, value: Value): void {
    const unique = this.#unique(name);
    this.#results.push({ name: unique, value });
    this.#outputs.push(valueInfo(unique, value));
  }

  /** The finished graph. */
  finish(name: string): OnnxGraph {
    const { renames, copies } = this.#placeOutputs();
    return {
      name,
      nodes: [...this.#nodes, ...copies].map((node) => toNode(node, renames)),
      initializers: this.#initializers,
      inputs: this.#inputs,
      outputs: this.#outputs,
      valueInfos: [],
    };
  }

  /**
   * Lets the node that makes a value write it under the output's name. Inputs, constants, values with two names and
   * values that a subgraph mentions keep theirs and are copied, which costs a node.
   */
  #placeOutputs(): { renames: ReadonlyMap<string, string>; copies: readonly BuiltNode[] } {
    const made = new Set(this.#nodes.flatMap(({ outputs }) => outputs.map((output) => output.name)));
    const captured = new Set(this.#nodes.flatMap(({ attributes }) => namesInSubgraphs(attributes)));
    const renames = new Map<string, string>();
    const copies: BuiltNode[] = [];
    for (const { name, value } of this.#results) {
      if (made.has(value.name) && !captured.has(value.name) && !renames.has(value.name)) {
        renames.set(value.name, name);
      } else {
        const outputs = [{ name, type: value.type, shape: value.shape }];
        copies.push({ opType: 'Identity', domain: '', inputs: [value], outputs, attributes: {} });
      }
    }
    return { renames, copies };
  }

  #share(key: string, make: () => OnnxTensor): Value {
    const existing = this.#shared.get(key);
    if (existing !== undefined) {
      return existing;
    }
    const value = this.constant(make());
    this.#shared.set(key, value);
    return value;
  }

  #unique(wanted: string): string {
    const base = wanted === '' ? 'value' : wanted;
    let name = base;
    for (let suffix = this.#names.size; this.#names.has(name); suffix += 1) {
      name = `${base}_${suffix}`;
    }
    this.#names.add(name);
    return name;
  }
}

/** Type of a float value. */
export function floatType(shape: ValueType['shape']): ValueType {
  return { type: ElementType.FLOAT, shape };
}

function inferTypes(
  opType: string,
  domain: string,
  { inputs, attributes }: Pick<BuiltNode, 'inputs' | 'attributes'>,
): readonly ValueType[] {
  const operator = domain === '' || domain === 'ai.onnx' ? OPERATORS.get(opType) : undefined;
  if (operator === undefined) {
    throw new OperatorUnsupported({ operator: domain === '' ? opType : `${domain}.${opType}` });
  }
  return operator.infer(new OperatorCall(opType, inputs, attributes));
}

function toNode(node: BuiltNode, renames: ReadonlyMap<string, string>): OnnxNode {
  const nameOf = (value: Value): string => renames.get(value.name) ?? value.name;
  return {
    opType: node.opType,
    domain: node.domain,
    name: '',
    inputs: node.inputs.map((input) => (input === undefined ? '' : nameOf(input))),
    outputs: node.outputs.map(nameOf),
    attributes: attributeList(node.attributes),
  };
}

/** Names of values that the bodies of control-flow operators read, from inside or from around them. */
function namesInSubgraphs(attributes: Attributes): readonly string[] {
  return Object.values(attributes).flatMap(({ graph }) => (graph === undefined ? [] : namesRead(graph)));
}

function namesRead(graph: OnnxGraph): readonly string[] {
  const inNodes = graph.nodes.flatMap(({ inputs, attributes }) => [
    ...inputs,
    ...attributes.flatMap((attribute) => (attribute.graph === undefined ? [] : namesRead(attribute.graph))),
  ]);
  return [...inNodes, ...graph.outputs.map(({ name }) => name)];
}
