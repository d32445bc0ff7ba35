import path from 'node:path';
import {
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type ServiceClientConstructor,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { ROOT } from './kernel-server.ts';

/**
 * Serves ModelInfer as one does with grpc-js and proto-loader alone.
 *
 * @param port - 0 takes a free one.
 * @returns the port.
 */
export async function serveModelInfer<Request>(
  answer: (request: Request) => Promise<unknown>,
  port: number,
): Promise<number> {
  const definition = loadSync('inference/grpc_inference_service.proto', {
    includeDirs: [path.join(ROOT, 'proto')],
    keepCase: true,
    longs: Number,
    defaults: true,
  });
  const loaded = loadPackageDefinition(definition)['inference'] as unknown as {
    readonly GRPCInferenceService: ServiceClientConstructor;
  };
  const server = new Server();
  server.addService(loaded.GRPCInferenceService.service, {
    ModelInfer: (call: { request: Request }, done: (error: Error | null, response?: unknown) => void) => {
      answer(call.request).then(
        (response) => done(null, response),
        (error: Error) => done(error),
      );
    },
  });
  return new Promise((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
}
