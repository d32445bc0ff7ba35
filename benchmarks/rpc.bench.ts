import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { create, toBinary } from '@bufbuild/protobuf';
import { SayRequestSchema } from '../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { startChildServer } from './harness/child-server.ts';
import { compare, type Comparison } from './harness/compare.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Size of the echoed payload, in bytes. */
const PAYLOAD_BYTES = 100;

/** Echo through the kernel, inline, against the same echo on bare grpc-js. */
export async function rpcBenchmark(): Promise<Comparison & { readonly what: string; readonly peer: string }> {
  const lamella = await startChildServer((ready, home) => [
    path.join(ROOT, 'dist/bin/lamella.js'),
    'start',
    '--home',
    home,
    '--plugins',
    path.join(ROOT, 'examples/echo'),
    '--grpc-port',
    '0',
    '--http-port',
    '0',
    '--metrics-port',
    '0',
    '--ready-file',
    ready,
  ]);
  const bare = await startChildServer((ready) => [
    path.join(ROOT, 'dist/benchmarks/rpc/bare-server.js'),
    ready,
  ]);
  try {
    const request = toBinary(
      SayRequestSchema,
      create(SayRequestSchema, { payload: new Uint8Array(PAYLOAD_BYTES) }),
    );
    const workload = { path: '/echo.v1.EchoService/Say', request, concurrencies: [1, 16, 64] };
    return {
      what: `unary echo of ${PAYLOAD_BYTES} bytes, inline plugin; closed loop over loopback`,
      peer: 'grpc-js 1.14 with the same protobuf codec',
      ...(await compare(lamella, bare, workload)),
    };
  } finally {
    await lamella.stop();
    await bare.stop();
  }
}
