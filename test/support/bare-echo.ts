import { once } from 'node:events';
import net from 'node:net';
import * as grpc from '@grpc/grpc-js';
import { create, toBinary } from '@bufbuild/protobuf';
import { SayResponseSchema } from '../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { copyEcho, type EchoPlugin } from './echo-plugin.ts';

/** What a bare server answers to Say. */
export type Answer = (callback: grpc.sendUnaryData<Buffer>) => void;

/** The echo on bare grpc-js: no health, no reflection. */
export interface BareEcho {
  readonly server: grpc.Server;
  readonly address: string;
  readonly port: number;
}

/** Messages as bytes. */
export const identity = (bytes: Buffer): Buffer => bytes;

/** Where and how one listens: on a free port of the loopback, in plain text. */
export interface Place {
  readonly host?: string;
  readonly port?: number;
  readonly credentials?: grpc.ServerCredentials;
}

export async function bareEcho(answer: Answer, place: Place = {}): Promise<BareEcho> {
  const { host = '127.0.0.1', port = 0, credentials = grpc.ServerCredentials.createInsecure() } = place;
  const server = new grpc.Server();
  const handler: grpc.handleUnaryCall<Buffer, Buffer> = (_call, callback) => answer(callback);
  server.register('/echo.v1.EchoService/Say', handler, identity, identity, 'unary');
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, credentials, (error, given) =>
      error === null ? resolve(given) : reject(error),
    );
  });
  return { server, address: `${host}:${bound}`, port: bound };
}

/** Answers with a version. */
export function saying(version: string): Answer {
  const message = toBinary(SayResponseSchema, create(SayResponseSchema, { version }));
  return (callback) => callback(null, Buffer.from(message));
}

/** Fails with UNAVAILABLE, with a pushback if one is given. */
export function unavailable(pushback?: string): Answer {
  const metadata = new grpc.Metadata();
  if (pushback !== undefined) metadata.set('grpc-retry-pushback-ms', pushback);
  return (callback) => callback({ code: grpc.status.UNAVAILABLE, details: 'overloaded', metadata });
}

/** A copy of the echo that ships its `.proto` text, for servers without reflection. */
export async function describedEcho(): Promise<EchoPlugin> {
  const plugin = await copyEcho();
  await plugin.setManifest({ protos: ['proto/echo/v1/echo_service.proto'] });
  return plugin;
}

/** A port on which nobody listens. */
export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
