import { createServer, type Server, type ServerOptions } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Certificates } from './certificates.ts';
import type { HttpListenerLimits } from './http-limits.ts';

/** Longest TLS handshake, in milliseconds; until it is over a connection is known to nobody else. */
const HANDSHAKE_TIMEOUT_MS = 5_000;

/** Node's server with the limits of a listener, over TLS when there are certificates. */
export function createHttpServer(limits: HttpListenerLimits, certificates: Certificates | undefined): Server {
  const options: ServerOptions = {
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionsCheckingInterval: limits.checkIntervalMs,
  };
  const server = certificates === undefined ? createServer(options) : overTls(options, certificates);
  server.maxConnections = limits.maxConnections;
  return server;
}

function overTls(options: ServerOptions, certificates: Certificates): Server {
  const server = createTlsServer({
    ...options,
    ...certificates.context,
    requestCert: certificates.asksClients,
    rejectUnauthorized: certificates.asksClients,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
  });
  certificates.onChange((context) => server.setSecureContext(context));
  return server;
}
