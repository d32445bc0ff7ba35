import { realpath } from 'node:fs/promises';
import path from 'node:path';
import protobuf from 'protobufjs';
import { PACKAGE_DIRECTORY } from '../../../sdk/package-directory.ts';
import { readLimitedFile } from '../../registry/limited-file.ts';
import { ProtoTextInvalid } from './errors.ts';

/** Longest `.proto` file, in bytes: ten times the largest that people write by hand. */
const SIZE_LIMIT_BYTES = 1024 * 1024;

/** Files of one plugin with everything that they import. */
const FILE_LIMIT = 256;

/** The kernel's own `.proto` files, which a plugin may import and serve. */
const KERNEL_PROTOS = path.join(PACKAGE_DIRECTORY, 'proto');

/** One file, by the name under which others import it. */
export interface ProtoSource {
  readonly name: string;
  readonly package: string;
  readonly imports: readonly string[];
  /** Those of `imports` that whoever imports this file sees, too. */
  readonly publicImports: readonly string[];
  readonly syntax: 'proto2' | 'proto3' | '2023';
}

/** What a plugin's text says, parsed and not resolved yet. */
export interface ProtoSources {
  readonly root: protobuf.Root;
  readonly files: readonly ProtoSource[];
}

/** Where the text is. */
export interface ProtoPlace {
  readonly plugin: string;
  readonly directory: string;
  /** Paths relative to the directory, from the manifest. */
  readonly protos: readonly string[];
}

interface Located {
  readonly name: string;
  readonly file: string;
}

/**
 * Reads the files of a manifest and all that they import into one root.
 *
 * @remarks proto-loader would open whatever an import names: an absolute path, `../..`, a pipe. Its parser is therefore
 * given text that was read here, from the plugin's folder and the kernel's own files only.
 * @throws PROTO_TEXT_INVALID
 */
export async function readProtoSources(place: ProtoPlace): Promise<ProtoSources> {
  return new Reading(place).run();
}

class Reading {
  readonly #place: ProtoPlace;
  readonly #root: protobuf.Root = new protobuf.Root();
  readonly #files: Map<string, ProtoSource> = new Map();
  /** Import name of each file by its real path: one file under two names would declare everything twice. */
  readonly #names: Map<string, string> = new Map();

  constructor(place: ProtoPlace) {
    this.#place = place;
  }

  async run(): Promise<ProtoSources> {
    const pending = this.#place.protos.map((entry) => entryName(entry));
    for (let name = pending.shift(); name !== undefined; name = pending.shift()) {
      if (this.#files.has(name)) continue;
      if (this.#files.size >= FILE_LIMIT) this.#fail(name, `more than ${FILE_LIMIT} files; ship fewer.`);
      const source = await this.#read(name);
      this.#files.set(name, source);
      pending.push(...source.imports);
    }
    return { root: this.#root, files: [...this.#files.values()] };
  }

  async #read(name: string): Promise<ProtoSource> {
    const bundled = protobuf.common.get(name);
    if (bundled !== null) {
      this.#root.addJSON(bundled.nested ?? {});
      return { name, package: 'google.protobuf', imports: [], publicImports: [], syntax: 'proto3' };
    }
    const { file } = await this.#locate(name);
    const text = await readLimitedFile(file, SIZE_LIMIT_BYTES).catch((cause: unknown) =>
      this.#fail(name, `${(cause as Error).message}.`, cause),
    );
    if (Buffer.byteLength(text) > SIZE_LIMIT_BYTES) {
      this.#fail(name, `it is longer than ${SIZE_LIMIT_BYTES} bytes; split it.`);
    }
    return this.#parse(name, text);
  }

  #parse(name: string, text: string): ProtoSource {
    let parsed: protobuf.IParserResult;
    try {
      (protobuf.parse as unknown as { filename: string | null }).filename = name;
      parsed = protobuf.parse(text, this.#root, { keepCase: true });
    } catch (cause) {
      return this.#fail(name, `${(cause as Error).message}; correct the text.`, cause);
    }
    const imports = [...new Set([...(parsed.imports ?? []), ...(parsed.weakImports ?? [])])];
    const publics = new Set([...text.matchAll(PUBLIC_IMPORT)].map((match) => match[1]));
    return {
      name,
      package: parsed.package ?? '',
      imports,
      publicImports: imports.filter((target) => publics.has(target)),
      syntax: syntaxOf(text),
    };
  }

  /** The folders that names are relative to, the plugin's own before the kernel's. */
  #folders(): string[] {
    const { directory } = this.#place;
    return [path.join(directory, 'proto'), directory, KERNEL_PROTOS];
  }

  async #locate(name: string): Promise<Located> {
    if (!isInside(name)) {
      this.#fail(
        name,
        "an import must be a relative path without '..'; move the file into the plugin's folder.",
      );
    }
    for (const folder of this.#folders()) {
      const file = await realpath(path.join(folder, name)).catch(() => undefined);
      if (file === undefined) continue;
      const confines = await realpath(folder === KERNEL_PROTOS ? folder : this.#place.directory);
      if (!file.startsWith(confines + path.sep)) {
        this.#fail(name, "it is a link that leads out of the plugin's folder; put the file there instead.");
      }
      this.#checkAlias(name, file);
      return { name, file };
    }
    return this.#fail(
      name,
      "there is no such file in the plugin's folder, in its proto/ folder or among the kernel's own; ship it, or correct the name.",
    );
  }

  #checkAlias(name: string, file: string): void {
    const known = this.#names.get(file);
    if (known !== undefined && known !== name) {
      this.#fail(name, `the same file is used as '${known}', too; use one name for it in all places.`);
    }
    this.#names.set(file, name);
  }

  #fail(file: string, problem: string, cause?: unknown): never {
    throw new ProtoTextInvalid({ plugin: this.#place.plugin, file: shown(file), problem }, { cause });
  }
}

/** In manifests files below `proto/` are named by their path; imports leave that folder out. */
function entryName(entry: string): string {
  const normal = path.posix.normalize(entry.replaceAll('\\', '/'));
  return normal.startsWith('proto/') ? normal.slice('proto/'.length) : normal;
}

function isInside(name: string): boolean {
  return (
    name !== '' &&
    !name.startsWith('/') &&
    !name.includes('\\') &&
    !name.includes('\0') &&
    !name.split('/').includes('..')
  );
}

const PUBLIC_IMPORT = /^[ \t]*import\s+public\s+["']([^"'\n]+)["']/gm;

/** The parser keeps to itself which syntax it met. Only reflection shows it, so a look at the line will do. */
function syntaxOf(text: string): ProtoSource['syntax'] {
  const [, word, value] = /^[ \t]*(syntax|edition)\s*=\s*["']([\w.]+)["']/m.exec(text) ?? [];
  if (word === 'edition') return '2023';
  return value === 'proto3' ? 'proto3' : 'proto2';
}

function shown(text: string): string {
  return text.length <= 200 ? text : `${text.slice(0, 200)}…`;
}
