import type { ModelInferResponse } from 'lamella/proto/inference/grpc_inference_service';
import { type ComparableOutput, numbersOf, outputsOf } from './tensor-values.ts';

/** Differences of two numbers that count as equal: either is enough. */
export interface Tolerance {
  readonly absoluteTolerance: number;
  readonly relativeTolerance: number;
}

/** What is different between two answers, for people; empty when nothing is. */
export function differenceOf(
  expected: ModelInferResponse,
  actual: ModelInferResponse,
  tolerance: Tolerance,
): string {
  const others = new Map(outputsOf(actual).map((output) => [output.name, output]));
  for (const output of outputsOf(expected)) {
    const other = others.get(output.name);
    const difference = other === undefined ? 'is missing' : outputDifference(output, other, tolerance);
    if (difference !== '') return `output '${output.name}' ${difference}`;
    others.delete(output.name);
  }
  const [extra] = others.keys();
  return extra === undefined ? '' : `output '${extra}' is new`;
}

function outputDifference(
  expected: ComparableOutput,
  actual: ComparableOutput,
  tolerance: Tolerance,
): string {
  if (expected.datatype !== actual.datatype) return `is ${actual.datatype} and not ${expected.datatype}`;
  if (expected.shape !== actual.shape) return `has the shape [${actual.shape}] and not [${expected.shape}]`;
  if (expected.raw !== undefined && actual.raw !== undefined && areSameBytes(expected.raw, actual.raw))
    return '';
  const numbers = numbersOf(expected);
  const others = numbersOf(actual);
  if (numbers === undefined || others === undefined) return textDifference(expected, actual);
  if (numbers.length !== others.length) return `has ${others.length} values and not ${numbers.length}`;
  const index = numbers.findIndex((number, place) => !areClose(number, others[place] ?? NaN, tolerance));
  return index === -1 ? '' : `has ${others[index]} at ${index} and not ${numbers[index]}`;
}

/** Texts and bytes have to be the same; typed ones are compared by their bytes. */
function textDifference(expected: ComparableOutput, actual: ComparableOutput): string {
  const [texts, others] = [bytesOf(expected), bytesOf(actual)];
  return areSameBytes(texts, others) ? '' : 'has other bytes';
}

/** The elements one after the other, each after its length, as the protocol packs them. */
function bytesOf({ raw, typed = [] }: ComparableOutput): Uint8Array {
  if (raw !== undefined) return raw;
  return Buffer.concat(
    typed.flatMap((element) => {
      const bytes = element instanceof Uint8Array ? element : new Uint8Array();
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return [length, bytes];
    }),
  );
}

function areSameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}

function areClose(one: number, other: number, { absoluteTolerance, relativeTolerance }: Tolerance): boolean {
  if (Object.is(one, other) || one === other) return true;
  const difference = Math.abs(one - other);
  const size = Math.max(Math.abs(one), Math.abs(other));
  // Infinity is close to nothing else, and NaN only to itself.
  return size < Infinity && (difference <= absoluteTolerance || difference <= relativeTolerance * size);
}
