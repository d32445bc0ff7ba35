import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import { httpOperation } from '../access/access.ts';
import type { AccessGate } from '../access/gate.ts';
import type { Evidence } from '../access/principal.ts';
import type { HttpAdmission } from './http-listener.ts';

/** Asks the same access control as calls over gRPC do. */
export function createHttpAdmission(gate: AccessGate): HttpAdmission {
  return (incoming, url) => {
    const operation = httpOperation(incoming.method ?? 'GET', url.pathname);
    return gate.access.admit(new HttpEvidence(incoming), operation);
  };
}

class HttpEvidence implements Evidence {
  readonly #incoming: IncomingMessage;

  constructor(incoming: IncomingMessage) {
    this.#incoming = incoming;
  }

  header(name: string): string | undefined {
    const value = this.#incoming.headers[name];
    return typeof value === 'string' || value === undefined ? value : value.join(', ');
  }

  certificateNames(): string | undefined {
    const { socket } = this.#incoming;
    if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
    return socket.getPeerCertificate().subjectaltname;
  }

  peer(): string {
    const { remoteAddress = '', remotePort = '' } = this.#incoming.socket;
    return `${remoteAddress}:${remotePort}`;
  }
}
