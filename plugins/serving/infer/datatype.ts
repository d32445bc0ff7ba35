import type { OrtElementType } from 'lamella/sdk/ort';
import { DataType } from 'lamella/proto/inference/model_config';

/** One data type of the Open Inference Protocol and what it is called elsewhere. */
export interface Datatype {
  /** Name in the protocol. */
  readonly name: string;
  /** Name in ONNX Runtime. */
  readonly element: OrtElementType;
  /** Number in Triton's model configuration. */
  readonly configType: DataType;
  /** Bytes of one element; 0 for BYTES, whose elements vary. */
  readonly sizeBytes: number;
}

const DATATYPES: readonly Datatype[] = [
  { name: 'BOOL', element: 'bool', configType: DataType.TYPE_BOOL, sizeBytes: 1 },
  { name: 'UINT8', element: 'uint8', configType: DataType.TYPE_UINT8, sizeBytes: 1 },
  { name: 'UINT16', element: 'uint16', configType: DataType.TYPE_UINT16, sizeBytes: 2 },
  { name: 'UINT32', element: 'uint32', configType: DataType.TYPE_UINT32, sizeBytes: 4 },
  { name: 'UINT64', element: 'uint64', configType: DataType.TYPE_UINT64, sizeBytes: 8 },
  { name: 'INT8', element: 'int8', configType: DataType.TYPE_INT8, sizeBytes: 1 },
  { name: 'INT16', element: 'int16', configType: DataType.TYPE_INT16, sizeBytes: 2 },
  { name: 'INT32', element: 'int32', configType: DataType.TYPE_INT32, sizeBytes: 4 },
  { name: 'INT64', element: 'int64', configType: DataType.TYPE_INT64, sizeBytes: 8 },
  { name: 'FP16', element: 'float16', configType: DataType.TYPE_FP16, sizeBytes: 2 },
  { name: 'FP32', element: 'float32', configType: DataType.TYPE_FP32, sizeBytes: 4 },
  { name: 'FP64', element: 'float64', configType: DataType.TYPE_FP64, sizeBytes: 8 },
  { name: 'BYTES', element: 'string', configType: DataType.TYPE_STRING, sizeBytes: 0 },
];

const BY_ELEMENT: ReadonlyMap<string, Datatype> = new Map(DATATYPES.map((type) => [type.element, type]));

/** Data type of an element type; every element type of a session has one. */
export function datatypeOf(element: OrtElementType): Datatype {
  const datatype = BY_ELEMENT.get(element);
  if (datatype === undefined) throw new TypeError(`There is no data type for ${element}.`);
  return datatype;
}

const BY_CONFIG: ReadonlyMap<DataType, Datatype> = new Map(DATATYPES.map((type) => [type.configType, type]));

/** Tells whether a type of a model configuration has a data type here. */
export function isDatatype(configType: DataType): boolean {
  return BY_CONFIG.has(configType);
}

/** Data type of a type in a completed model configuration; each of those has one. */
export function datatypeOfConfig(configType: DataType): Datatype {
  const datatype = BY_CONFIG.get(configType);
  if (datatype === undefined) throw new TypeError(`There is no data type for ${configType}.`);
  return datatype;
}
