import { create, toBinary } from '@bufbuild/protobuf';
import { SayRequestSchema } from '../../examples/echo/gen/echo/v1/echo_service_pb.ts';

/** Size of the echoed payload, in bytes. */
export const PAYLOAD_BYTES = 100;

/** The call that all servers of these benchmarks answer. */
export const SAY: { readonly path: string; readonly request: Uint8Array } = {
  path: '/echo.v1.EchoService/Say',
  request: toBinary(SayRequestSchema, create(SayRequestSchema, { payload: new Uint8Array(PAYLOAD_BYTES) })),
};
