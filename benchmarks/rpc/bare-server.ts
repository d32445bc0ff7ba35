import { renameSync, writeFileSync } from 'node:fs';
import * as grpc from '@grpc/grpc-js';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { SayRequestSchema, SayResponseSchema } from '../../examples/echo/gen/echo/v1/echo_service_pb.ts';

/** The echo service on bare grpc-js with the same codec: what a program without a kernel costs. */
const server = new grpc.Server();
server.register(
  '/echo.v1.EchoService/Say',
  (call: grpc.ServerUnaryCall<Uint8Array, Buffer>, callback: grpc.sendUnaryData<Buffer>) => {
    const { payload } = fromBinary(SayRequestSchema, call.request);
    const answer = toBinary(SayResponseSchema, create(SayResponseSchema, { payload, version: '0.1.0' }));
    callback(null, Buffer.from(answer.buffer, answer.byteOffset, answer.byteLength));
  },
  (bytes: Buffer) => bytes,
  (bytes: Buffer) => bytes,
  'unary',
);
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  const ready = process.argv[2] ?? '';
  writeFileSync(`${ready}.part`, JSON.stringify({ grpc: `127.0.0.1:${port}` }));
  renameSync(`${ready}.part`, ready);
});
process.once('SIGTERM', () => server.forceShutdown());
