import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  ModelInferResponse_InferOutputTensorSchema,
  ModelInferResponseSchema,
} from 'lamella/proto/inference/grpc_inference_service';

type Answer = MessageInitShape<typeof ModelInferResponseSchema>;
type Output = MessageInitShape<typeof ModelInferResponse_InferOutputTensorSchema>;

const MODEL_NAME = 0x0a;
const MODEL_VERSION = 0x12;
const ID = 0x1a;
const OUTPUT = 0x2a;
const RAW = 0x32;
const OUTPUT_NAME = 0x0a;
const OUTPUT_DATATYPE = 0x12;
const OUTPUT_SHAPE = 0x1a;

/** Names of models, tensors and data types are few and come again with every answer. */
const MOST_NAMES = 1_000;
const NO_BYTES: Buffer = Buffer.alloc(0);
const NAMES: Map<string, Buffer> = new Map();

/** Writes an answer that has no parameters; `undefined` for one that has. */
export function writePlainResponse(answer: Answer): Uint8Array | undefined {
  const { outputs = [], rawOutputContents = [] } = answer;
  if (!isPlain(answer) || !outputs.every(isPlain)) return undefined;
  const names = namesOf(answer);
  const outputSizes = outputs.map(outputSize);
  let sizeBytes = 0;
  for (const [, bytes] of names) sizeBytes += fieldSize(bytes);
  for (const size of outputSizes) sizeBytes += blockSize(size);
  const writer = new Writer(rawOutputContents.reduce(addBlock, sizeBytes));
  for (const [tag, bytes] of names) writer.field(tag, bytes);
  for (let index = 0; index < outputs.length; index += 1) {
    writeOutput(writer, outputs[index] as Output, outputSizes[index] as number);
  }
  for (const raw of rawOutputContents) writer.block(RAW, raw);
  return writer.bytes;
}

function namesOf({
  modelName = '',
  modelVersion = '',
  id = '',
}: Answer): readonly (readonly [number, Buffer])[] {
  return [
    [MODEL_NAME, bytesOf(modelName)],
    [MODEL_VERSION, bytesOf(modelVersion)],
    // The caller's own, which does not come again.
    [ID, id === '' ? NO_BYTES : Buffer.from(id)],
  ];
}

function isPlain(message: Answer | Output): boolean {
  return message.parameters === undefined && !('contents' in message);
}

function outputSize({ name = '', datatype = '', shape = [] }: Output): number {
  const packed = shapeSize(shape);
  const shapeField = packed === 0 ? 0 : blockSize(packed);
  return fieldSize(bytesOf(name)) + fieldSize(bytesOf(datatype)) + shapeField;
}

function shapeSize(shape: readonly bigint[]): number {
  let size = 0;
  for (const dim of shape) size += varintSize(Number(dim));
  return size;
}

function writeOutput(
  writer: Writer,
  { name = '', datatype = '', shape = [] }: Output,
  sizeBytes: number,
): void {
  writer.tag(OUTPUT, sizeBytes);
  writer.field(OUTPUT_NAME, bytesOf(name));
  writer.field(OUTPUT_DATATYPE, bytesOf(datatype));
  if (shape.length === 0) return;
  writer.tag(OUTPUT_SHAPE, shapeSize(shape));
  for (const dim of shape) writer.varint(Number(dim));
}

/** Bytes of a name that many answers share. */
function bytesOf(name: string): Buffer {
  const known = NAMES.get(name);
  if (known !== undefined) return known;
  if (NAMES.size >= MOST_NAMES) NAMES.clear();
  const bytes = Buffer.from(name);
  NAMES.set(name, bytes);
  return bytes;
}

/** Size of a text field, which is not written when it is empty. */
function fieldSize({ byteLength }: Buffer): number {
  return byteLength === 0 ? 0 : blockSize(byteLength);
}

function addBlock(sum: number, { byteLength }: Uint8Array): number {
  return sum + blockSize(byteLength);
}

/** Size of a field of so many bytes. */
function blockSize(byteLength: number): number {
  return 1 + varintSize(byteLength) + byteLength;
}

/** Bytes that a whole number takes; none here is negative. */
function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size += 1;
  return size;
}

class Writer {
  readonly bytes: Buffer;
  #at = 0;

  constructor(sizeBytes: number) {
    this.bytes = Buffer.allocUnsafe(sizeBytes);
  }

  tag(tag: number, sizeBytes: number): void {
    this.bytes[this.#at] = tag;
    this.#at += 1;
    this.varint(sizeBytes);
  }

  varint(value: number): void {
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) {
      this.bytes[this.#at] = (rest % 0x80) + 0x80;
      this.#at += 1;
    }
    this.bytes[this.#at] = rest;
    this.#at += 1;
  }

  /** A text, unless it is empty. */
  field(tag: number, text: Buffer): void {
    if (text.byteLength > 0) this.block(tag, text);
  }

  /** Bytes, also when there are none. */
  block(tag: number, bytes: Uint8Array): void {
    this.tag(tag, bytes.byteLength);
    this.bytes.set(bytes, this.#at);
    this.#at += bytes.byteLength;
  }
}
