import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { ModelInferRequestSchema } from '../../proto/gen/inference/grpc_inference_service_pb.ts';
import {
  ElementType,
  encodeModel,
  finishModel,
  floatTensor,
  GraphBuilder,
  intsAttribute,
} from '../../sdk/onnx/index.ts';
import type { Workspace } from './workspace.ts';

const PIXELS = 784;
const CLASSES = 10;
const IMAGE: readonly number[] = [3, 224, 224];

/** Files that servers read, and requests that clients send. */
export interface Models {
  /** Folder in Triton's layout with the models `linear` and `image`. */
  readonly repository: string;
  /** ONNX file of the linear model: `x` FP32 [b,784] to `y` [b,10]. */
  readonly linear: string;
  /** ONNX file of a model that reads an image of 602 KB, `x` FP32 [b,3,224,224], and answers its mean by channel. */
  readonly image: string;
  /** Requests, each in a file. */
  readonly requests: {
    readonly raw: string;
    readonly typed: string;
    readonly json: string;
    readonly image: string;
  };
}

/** Writes models and requests. */
export async function writeModels(workspace: Workspace): Promise<Models> {
  const repository = await workspace.fresh('models');
  const write = async (name: string, bytes: Uint8Array | string): Promise<string> => {
    const file = path.join(repository, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, bytes);
    return file;
  };
  const values = pixels(PIXELS);
  const linearInput = { name: 'x', datatype: 'FP32', shape: [1n, BigInt(PIXELS)] };
  const imageInput = { name: 'x', datatype: 'FP32', shape: [1n, ...IMAGE.map(BigInt)] };
  const image = pixels(IMAGE.reduce((product, size) => product * size, 1));
  const message = (init: Parameters<typeof create<typeof ModelInferRequestSchema>>[1]): Uint8Array =>
    toBinary(ModelInferRequestSchema, create(ModelInferRequestSchema, init));
  const data = [...values];
  return {
    repository,
    linear: await write('linear/1/model.onnx', linearModel()),
    image: await write('image/1/model.onnx', imageModel()),
    requests: {
      raw: await write(
        '../home-requests/raw',
        message({ modelName: 'linear', inputs: [linearInput], rawInputContents: [bytesOf(values)] }),
      ),
      typed: await write(
        '../home-requests/typed',
        message({ modelName: 'linear', inputs: [{ ...linearInput, contents: { fp32Contents: data } }] }),
      ),
      json: await write(
        '../home-requests/json',
        JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, PIXELS], data }] }),
      ),
      image: await write(
        '../home-requests/image',
        message({ modelName: 'image', inputs: [imageInput], rawInputContents: [bytesOf(image)] }),
      ),
    },
  };
}

function linearModel(): Uint8Array {
  const graph = new GraphBuilder();
  const x = graph.input('x', { type: ElementType.FLOAT, shape: ['b', PIXELS] });
  const weights = Array.from({ length: PIXELS * CLASSES }, (_, index) => Math.sin(index) / PIXELS);
  const product = graph.apply('MatMul', [
    x,
    graph.constant(floatTensor('weights', [PIXELS, CLASSES], weights)),
  ]);
  const bias = Array.from({ length: CLASSES }, (_, index) => index / CLASSES);
  graph.output('y', graph.apply('Add', [product, graph.constant(floatTensor('bias', [CLASSES], bias))]));
  return encodeModel(finishModel(graph.finish('linear')));
}

function imageModel(): Uint8Array {
  const graph = new GraphBuilder();
  const x = graph.input('x', { type: ElementType.FLOAT, shape: ['b', ...IMAGE] });
  graph.output('y', graph.apply('ReduceMean', [x], { axes: intsAttribute([2, 3]) }));
  return encodeModel(finishModel(graph.finish('image')));
}

/** Like a picture of a digit: four of five are dark, the same each time. */
function pixels(count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, index) =>
    (index * 7_919) % 5 === 0 ? (index % 255) / 255 : 0,
  );
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer);
}
