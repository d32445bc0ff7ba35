import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

interface Issued {
  readonly name: string;
  readonly by: string;
  readonly subjectAltName: string;
  readonly days: number;
}

/** Makes certificates with the openssl command, in a folder of the test. */
export class Authority {
  readonly #folder: string;
  #serial = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Fails where there is no openssl. */
  static async check(): Promise<string> {
    return (await run('openssl', ['version'])).stdout;
  }

  /** Path of `NAME.pem` or `NAME.key`. */
  file(name: string): string {
    return path.join(this.#folder, name);
  }

  async #openssl(...words: readonly string[]): Promise<void> {
    await run('openssl', words, { cwd: this.#folder });
  }

  /** An authority of that name. */
  async makeAuthority(name: string): Promise<void> {
    const words = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    await this.#openssl(
      'req',
      ...words,
      '-subj',
      `/CN=${name}`,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.pem`,
    );
  }

  /** A certificate of an authority with these alternative names. */
  async issue(name: string, by: string, subjectAltName: string): Promise<void> {
    await this.issueFor({ name, by, subjectAltName, days: 30 });
  }

  /** A certificate for some days; negative ones are over. */
  async issueFor({ name, by, subjectAltName, days }: Issued): Promise<void> {
    this.#serial += 1;
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`];
    await this.#openssl('req', ...key, '-subj', `/CN=${name}-${this.#serial}`, '-out', `${name}.csr`);
    await writeFile(this.file(`${name}.ext`), `subjectAltName=${subjectAltName}`);
    const signer = ['-CA', `${by}.pem`, '-CAkey', `${by}.key`, '-set_serial', String(this.#serial)];
    await this.#openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      ...signer,
      '-days',
      String(days),
      '-extfile',
      `${name}.ext`,
      '-out',
      `${name}.pem`,
    );
  }

  /** Content of a file. */
  async read(name: string): Promise<Buffer> {
    return readFile(this.file(name));
  }
}
