import dgram from 'node:dgram';
import { once } from 'node:events';

const HEADER_BYTES = 12;
const TYPE_A = 1;
const RECURSION_AND_ANSWER = 0x81_80;
const NO_SUCH_NAME = 3;

/** A name server with a table of IPv4 addresses that a test changes. */
export class NameServer {
  /** Addresses by name; a name that is not there does not exist. */
  readonly table: Map<string, readonly string[]> = new Map();
  readonly #socket: dgram.Socket;

  private constructor(socket: dgram.Socket) {
    this.#socket = socket;
    socket.on('message', (question, { port, address }) => {
      socket.send(this.#answer(question), port, address);
    });
  }

  static async start(): Promise<NameServer> {
    const socket = dgram.createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new NameServer(socket);
  }

  /** `ip:port` */
  get address(): string {
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  /** RFC 1035, section 4: the question is sent back, then the records, which point at its name. */
  #answer(question: Buffer): Buffer {
    const labels: string[] = [];
    let at = HEADER_BYTES;
    for (let length = question[at] ?? 0; length > 0; length = question[at] ?? 0) {
      labels.push(question.toString('ascii', at + 1, at + 1 + length));
      at += 1 + length;
    }
    const isIPv4 = question.readUInt16BE(at + 1) === TYPE_A;
    const known = this.table.get(labels.join('.').toLowerCase());
    const addresses = isIPv4 ? (known ?? []) : [];
    const header = Buffer.from(question.subarray(0, HEADER_BYTES));
    header.writeUInt16BE(RECURSION_AND_ANSWER | (known === undefined ? NO_SUCH_NAME : 0), 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(addresses.length, 6);
    header.writeUInt32BE(0, 8);
    return Buffer.concat([header, question.subarray(HEADER_BYTES, at + 5), ...addresses.map(record)]);
  }

  async stop(): Promise<void> {
    this.#socket.close();
    await once(this.#socket, 'close');
  }
}

function record(address: string): Buffer {
  const bytes = address.split('.').map(Number);
  return Buffer.from([0xc0, HEADER_BYTES, 0, TYPE_A, 0, 1, 0, 0, 0, 0, 0, 4, ...bytes]);
}
