import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { Header, Pax } from 'tar';

/** One entry of an archive made by hand. */
export interface Entry {
  readonly path: string;
  readonly content?: string | Buffer;
  readonly type?: 'File' | 'Link' | 'SymbolicLink' | 'CharacterDevice' | 'BlockDevice' | 'FIFO' | 'Directory';
  readonly linkpath?: string;
  readonly mode?: number;
  /** Size in the header when it shall not be that of the content. */
  readonly size?: number;
}

/** Bytes of a tar archive that no honest program would write. */
export function tarOf(entries: readonly Entry[]): Buffer {
  return Buffer.concat([...entries.map(entryBytes), Buffer.alloc(1024)]);
}

function entryBytes(entry: Entry): Buffer {
  const content = Buffer.from(entry.content ?? '');
  const header = new Header({
    path: entry.path,
    mode: entry.mode ?? 0o644,
    size: entry.size ?? content.length,
    type: entry.type ?? 'File',
    linkpath: entry.linkpath ?? '',
    uid: 0,
    gid: 0,
    mtime: new Date(0),
  });
  const needsPax = header.encode();
  const pax = needsPax ? new Pax({ path: entry.path }).encode() : Buffer.alloc(0);
  const padding = Buffer.alloc((512 - (content.length % 512)) % 512);
  return Buffer.concat([pax, header.block ?? Buffer.alloc(0), content, padding]);
}

/** A folder for one test. */
export class Sandbox {
  readonly #parent: string;
  private constructor(parent: string) {
    this.#parent = parent;
  }

  static async create(): Promise<Sandbox> {
    return new Sandbox(await mkdtemp(path.join(tmpdir(), 'lamella-packaging-test-')));
  }

  path(name: string): string {
    return path.join(this.#parent, name);
  }

  /** Writes an archive and returns its path. */
  async archive(bytes: Buffer): Promise<string> {
    const file = this.path('archive.tgz');
    await writeFile(file, bytes);
    return file;
  }

  async gzipped(entries: readonly Entry[]): Promise<string> {
    return this.archive(gzipSync(tarOf(entries)));
  }

  /** Everything below, to see that nothing came in beside what should. */
  async everything(): Promise<string[]> {
    return (await readdir(this.#parent, { recursive: true })).toSorted();
  }

  async remove(): Promise<void> {
    await rm(this.#parent, { recursive: true, force: true });
  }
}

/** A manifest of a plugin whose program nobody starts. */
export function manifestText(version = '1.0.0', id = 'test.hello'): string {
  return JSON.stringify({
    id,
    version,
    entry: { command: ['./run.sh'] },
    isolation: { preferred: 'PROCESS' },
    provides: [{ service: 'test.v1.HelloService' }],
  });
}
