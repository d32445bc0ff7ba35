import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import type { ServiceCodecs } from 'lamella/sdk';
import {
  type GRPCInferenceService,
  type ModelInferRequest,
  ModelInferRequestSchema,
  ModelInferResponseSchema,
} from 'lamella/proto/inference/grpc_inference_service';
import { RequestReader } from './request-reader.ts';
import { writePlainResponse } from './response-writer.ts';

/**
 * The messages of ModelInfer, read and written by hand: what is made from the descriptors took a fifth of a call.
 *
 * @remarks The plain form of a message is done here; anything rarer (parameters, text that is not ASCII, fields that are
 * not known, bytes that are no message) is left to the descriptor, so there is one judge of what is right.
 */
export const inferCodecs: ServiceCodecs<typeof GRPCInferenceService> = {
  modelInfer: { readRequest, writeResponse },
};

/** Reads a request; raw contents are views of the bytes. @throws Error for bytes that are no request */
export function readRequest(bytes: Uint8Array): ModelInferRequest {
  return new RequestReader(bytes).read() ?? fromBinary(ModelInferRequestSchema, bytes);
}

/** Writes an answer into one buffer. */
export function writeResponse(answer: MessageInitShape<typeof ModelInferResponseSchema>): Uint8Array {
  return (
    writePlainResponse(answer) ?? toBinary(ModelInferResponseSchema, create(ModelInferResponseSchema, answer))
  );
}
