import { type FileHandle, mkdir, open, readdir, utimes } from 'node:fs/promises';
import path from 'node:path';
import type {
  RenderDeploymentResponse,
  RenderedFile,
} from '../../../proto/gen/lamella/serving/v1/deploy_service_pb.ts';
import type { Terminal } from '../terminal.ts';

type Parts = AsyncIterable<RenderDeploymentResponse>;

/** What was written. */
export interface Written {
  readonly files: number;
  readonly sizeBytes: number;
}

/** Shows text files one after the other, in a form that `kubectl apply -f -` takes where they are manifests. */
export async function printFiles(parts: Parts, isJson: boolean, terminal: Terminal): Promise<void> {
  const files: { readonly file: RenderedFile; readonly chunks: Uint8Array[] }[] = [];
  for await (const { part } of parts) {
    if (part.case === 'file') files.push({ file: part.value, chunks: [] });
    else if (part.case === 'chunk') files.at(-1)?.chunks.push(part.value);
  }
  const shown = files.map(({ file, chunks }) => ({
    path: file.path,
    sizeBytes: Number(file.sizeBytes),
    isExecutable: file.isExecutable,
    ...(file.isText ? { text: Buffer.concat(chunks).toString() } : {}),
  }));
  if (isJson) {
    terminal.out(JSON.stringify({ files: shown }, undefined, 2));
    return;
  }
  for (const { path: name, text } of shown) {
    if (text === undefined) continue;
    terminal.out(`---\n# Source: ${name}\n${text.trimEnd()}`);
  }
  const others = shown.filter(({ text }) => text === undefined);
  if (others.length === 0) return;
  const sizeBytes = others.reduce((sum, other) => sum + other.sizeBytes, 0);
  terminal.err(
    `and ${others.length} files that are no text, ${(sizeBytes / 1_000_000).toFixed(1)} MB; --output writes them.`,
  );
}

/**
 * Writes the files into a folder that is new or empty, all with the same time, so that images made from them are equal.
 *
 * @throws Error when the folder has something in it, or a path leads out of it.
 */
export async function writeFiles(parts: Parts, folder: string): Promise<Written> {
  await mkdir(folder, { recursive: true });
  if ((await readdir(folder)).length > 0)
    throw new Error(`The folder ${folder} is not empty; give a new one.`);
  let current: OpenFile | undefined;
  let files = 0;
  let sizeBytes = 0;
  try {
    for await (const { part } of parts) {
      if (part.case === 'file') {
        await current?.close();
        current = await OpenFile.create(folder, part.value);
        files += 1;
      } else if (part.case === 'chunk' && current !== undefined) {
        sizeBytes += part.value.byteLength;
        await current.write(part.value);
      }
    }
  } finally {
    await current?.close();
  }
  return { files, sizeBytes };
}

class OpenFile {
  readonly #name: string;
  readonly #handle: FileHandle;

  private constructor(name: string, handle: FileHandle) {
    this.#name = name;
    this.#handle = handle;
  }

  static async create(folder: string, { path: name, isExecutable }: RenderedFile): Promise<OpenFile> {
    const root = path.resolve(folder);
    const target = path.resolve(root, name);
    // The kernel may be somebody else's.
    if (!target.startsWith(`${root}${path.sep}`))
      throw new Error(`The kernel sent the path '${name}'; nothing of it is written.`);
    await mkdir(path.dirname(target), { recursive: true });
    return new OpenFile(target, await open(target, 'wx', isExecutable ? 0o755 : 0o644));
  }

  async write(chunk: Uint8Array): Promise<void> {
    await this.#handle.writeFile(chunk);
  }

  async close(): Promise<void> {
    await this.#handle.close();
    await utimes(this.#name, 0, 0);
  }
}
