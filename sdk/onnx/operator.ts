import type { Attributes } from './attribute.ts';
import { GradientUnsupported, ShapeMismatch } from './errors.ts';
import type { GraphBuilder } from './graph-builder.ts';
import { integerValues } from './tensor.ts';
import type { Value, ValueType } from './value.ts';

/** A node of a graph under construction. */
export interface BuiltNode {
  readonly opType: string;
  readonly domain: string;
  readonly inputs: readonly (Value | undefined)[];
  readonly outputs: readonly Value[];
  readonly attributes: Attributes;
}

/** What the toolkit knows of an operator. */
export interface OperatorDefinition {
  /** Types of all outputs, optional ones included. */
  readonly infer: (call: OperatorCall) => readonly ValueType[];
  /** Gradients of the loss by each input; absent for operators that are not differentiable. */
  readonly gradient?: (context: GradientContext) => readonly (Value | undefined)[];
}

/** Operators by `op_type`. */
export type OperatorTable = Readonly<Record<string, OperatorDefinition>>;

/** One application of an operator, seen by shape inference. */
export class OperatorCall {
  readonly opType: string;
  readonly inputs: readonly (Value | undefined)[];
  readonly attributes: Attributes;

  constructor(opType: string, inputs: readonly (Value | undefined)[], attributes: Attributes) {
    this.opType = opType;
    this.inputs = inputs;
    this.attributes = attributes;
  }

  /** A required input. @throws SHAPE_MISMATCH if it is missing. */
  input(index: number): Value {
    return this.inputs[index] ?? this.fail(`input ${index} is missing`);
  }

  /** Values of an input that must be a constant, such as a target shape. @throws SHAPE_MISMATCH if it is not. */
  integerInput(index: number): readonly number[] {
    const { constant } = this.input(index);
    return constant === undefined ? this.fail(`input ${index} must be a constant`) : integerValues(constant);
  }

  /** An axis counted from the front. @throws SHAPE_MISMATCH if it is outside the rank. */
  axis(axis: number, rank: number): number {
    const positive = axis < 0 ? axis + rank : axis;
    return positive >= 0 && positive < rank
      ? positive
      : this.fail(`axis ${axis} does not exist in rank ${rank}`);
  }

  /** @throws SHAPE_MISMATCH always. */
  fail(detail: string): never {
    throw new ShapeMismatch({ operator: this.opType, detail });
  }
}

/** What a gradient rule works with. */
export class GradientContext {
  /** Graph that receives the nodes of the backward pass. */
  readonly graph: GraphBuilder;
  readonly node: BuiltNode;
  /** Gradient of the loss by the node's first output. */
  readonly outputGradient: Value;
  readonly #needed: ReadonlySet<string>;

  constructor(
    graph: GraphBuilder,
    node: BuiltNode,
    flow: { outputGradient: Value; needed: ReadonlySet<string> },
  ) {
    this.graph = graph;
    this.node = node;
    this.outputGradient = flow.outputGradient;
    this.#needed = flow.needed;
  }

  /** An input that the operator requires. */
  input(index: number): Value {
    return this.node.inputs[index] ?? this.unsupported();
  }

  /** An output. */
  output(index: number): Value {
    return this.node.outputs[index] ?? this.unsupported();
  }

  /** The node as shape inference sees it. */
  asCall(): OperatorCall {
    return new OperatorCall(this.node.opType, this.node.inputs, this.node.attributes);
  }

  /** Runs `make` only when something trainable lies behind that input. */
  ifNeeded(index: number, make: () => Value): Value | undefined {
    const input = this.node.inputs[index];
    return input !== undefined && this.#needed.has(input.name) ? make() : undefined;
  }

  /** @throws GRADIENT_UNSUPPORTED always. */
  unsupported(what: string = ''): never {
    throw new GradientUnsupported({ operator: `${this.node.opType}${what}` });
  }
}
