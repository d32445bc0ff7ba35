import type {
  InferParameter,
  ModelInferRequest,
  ModelInferRequest_InferRequestedOutputTensor,
} from 'lamella/proto/inference/grpc_inference_service';
import { DecodedInput, PackedContents } from './decoded-request.ts';

// A tag is the number of a field times 8, plus 2 for what has a length. Below 128 it is one byte.
const MODEL_NAME = 0x0a;
const MODEL_VERSION = 0x12;
const ID = 0x1a;
const INPUT = 0x2a;
const OUTPUT = 0x32;
const RAW = 0x3a;
const INPUT_NAME = 0x0a;
const INPUT_DATATYPE = 0x12;
const INPUT_SHAPE = 0x1a;
const INPUT_CONTENTS = 0x2a;
const OUTPUT_NAME = 0x0a;
const FP32_CONTENTS = 0x32;
const FP64_CONTENTS = 0x3a;

const OUTSIDE = -1;

/**
 * Reads a ModelInferRequest of the plain form: names, inputs, wanted outputs, raw or packed floating-point contents.
 *
 * @remarks Never throws: what it does not know makes it give up, and then another decoder decides.
 */
export class RequestReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** The request; `undefined` when it has another form. */
  read(): ModelInferRequest | undefined {
    const request: ModelInferRequest = {
      $typeName: 'inference.ModelInferRequest',
      modelName: '',
      modelVersion: '',
      id: '',
      parameters: noParameters(),
      inputs: [],
      outputs: [],
      rawInputContents: [],
    };
    const { byteLength } = this.#bytes;
    while (this.#at < byteLength) {
      const tag = this.#bytes[this.#at];
      this.#at += 1;
      const end = this.#end(byteLength);
      if (end === OUTSIDE || !this.#field(request, tag, end)) return undefined;
    }
    return request;
  }

  /** Reads one field of the request up to its end. @returns false to give up */
  #field(request: ModelInferRequest, tag: number | undefined, end: number): boolean {
    switch (tag) {
      case RAW:
        request.rawInputContents.push(this.#bytes.subarray(this.#at, end));
        this.#at = end;
        return true;
      case INPUT:
        return this.#input(request, end);
      case OUTPUT:
        return this.#output(request, end);
      default:
        return this.#name(request, tag, end);
    }
  }

  #name(request: ModelInferRequest, tag: number | undefined, end: number): boolean {
    const text = this.#text(end);
    if (text === undefined) return false;
    if (tag === MODEL_NAME) request.modelName = text;
    else if (tag === MODEL_VERSION) request.modelVersion = text;
    else if (tag === ID) request.id = text;
    else return false;
    return true;
  }

  #input(request: ModelInferRequest, inputEnd: number): boolean {
    const input = new DecodedInput();
    while (this.#at < inputEnd) {
      const tag = this.#bytes[this.#at];
      this.#at += 1;
      const end = this.#end(inputEnd);
      if (end === OUTSIDE || !this.#inputField(input, tag, end)) return false;
    }
    request.inputs.push(input);
    return true;
  }

  #inputField(input: DecodedInput, tag: number | undefined, end: number): boolean {
    switch (tag) {
      case INPUT_NAME:
      case INPUT_DATATYPE: {
        const text = this.#text(end);
        if (text === undefined) return false;
        input[tag === INPUT_NAME ? 'name' : 'datatype'] = text;
        return true;
      }
      case INPUT_SHAPE:
        return input.dims.length === 0 && this.#shape(input, end);
      case INPUT_CONTENTS:
        return input.contents === undefined && this.#contents(input, end);
      default:
        return false;
    }
  }

  #shape(input: DecodedInput, end: number): boolean {
    const dims: number[] = [];
    while (this.#at < end) {
      const size = this.#number(end);
      if (size === OUTSIDE) return false;
      dims.push(size);
    }
    input.dims = dims;
    return true;
  }

  /** One packed block of floating-point values and nothing else. */
  #contents(input: DecodedInput, contentsEnd: number): boolean {
    const tag = this.#bytes[this.#at];
    this.#at += 1;
    const end = this.#end(contentsEnd);
    if (end !== contentsEnd || (tag !== FP32_CONTENTS && tag !== FP64_CONTENTS)) return false;
    const ArrayType = tag === FP32_CONTENTS ? Float32Array : Float64Array;
    const sizeBytes = end - this.#at;
    if (sizeBytes % ArrayType.BYTES_PER_ELEMENT !== 0) return false;
    // Copied, because the values may start at any byte; they are little-endian on the wire as in memory.
    const values = new ArrayType(sizeBytes / ArrayType.BYTES_PER_ELEMENT);
    this.#bytes.copy(new Uint8Array(values.buffer), 0, this.#at, end);
    input.contents = new PackedContents(values);
    this.#at = end;
    return true;
  }

  #output(request: ModelInferRequest, outputEnd: number): boolean {
    const output: ModelInferRequest_InferRequestedOutputTensor = {
      $typeName: 'inference.ModelInferRequest.InferRequestedOutputTensor',
      name: '',
      parameters: noParameters(),
    };
    while (this.#at < outputEnd) {
      const tag = this.#bytes[this.#at];
      this.#at += 1;
      const end = this.#end(outputEnd);
      const text = end === OUTSIDE || tag !== OUTPUT_NAME ? undefined : this.#text(end);
      if (text === undefined) return false;
      output.name = text;
    }
    request.outputs.push(output);
    return true;
  }

  /** Reads a length. @returns where what follows ends, or {@link OUTSIDE} when that is beyond `limit` */
  #end(limit: number): number {
    const length = this.#number(limit);
    return length === OUTSIDE || length > limit - this.#at ? OUTSIDE : this.#at + length;
  }

  /** Reads a whole number below 2^28. */
  #number(limit: number): number {
    let value = 0;
    for (let shift = 0; shift < 28 && this.#at < limit; shift += 7) {
      const byte = this.#bytes[this.#at] ?? 0;
      this.#at += 1;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return OUTSIDE;
  }

  /** Reads ASCII text; `undefined` for any other. */
  #text(end: number): string | undefined {
    const start = this.#at;
    for (let index = start; index < end; index += 1) {
      if ((this.#bytes[index] ?? 0x80) >= 0x80) return undefined;
    }
    this.#at = end;
    return this.#bytes.toString('latin1', start, end);
  }
}

function noParameters(): Record<string, InferParameter> {
  return {};
}
