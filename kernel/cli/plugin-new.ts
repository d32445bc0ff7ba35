import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PACKAGE_DIRECTORY } from '../../sdk/package-directory.ts';
import { toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { shippedServices } from '../loader/proto/shipped-services.ts';
import { readManifest } from '../registry/manifest.ts';

/** Languages that there is a template for. */
export const LANGUAGES = ['typescript', 'python', 'go'] as const;

/** One of {@link LANGUAGES}. */
export type Language = (typeof LANGUAGES)[number];

/** What `lamella plugin new` is asked for. */
export interface NewPlugin {
  /** `word-count`, or with a layer `app.word-count`. */
  readonly name: string;
  readonly language: Language;
  /** Folder to make; by default the last part of the name, in the current folder. */
  readonly directory?: string;
}

/** The templates are whole plugins with this name, so that they can be built and tested as they stand. */
const TEMPLATE_NAME = 'greeter';

/** The package holds the templates as they are. */
const TEMPLATES = path.join(PACKAGE_DIRECTORY, 'sdk', 'templates');

const NAME = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*(?:\.[a-z][a-z0-9]*(?:-[a-z0-9]+)*)*$/;
const NAME_LIMIT = 60;

/**
 * Makes the folder of a new plugin from a template.
 *
 * @returns the folder.
 * @throws Error if the name will not do or the folder holds something already; nothing is written then.
 */
export async function newPlugin({ name, language, directory }: NewPlugin): Promise<string> {
  if (!NAME.test(name) || name.length > NAME_LIMIT) {
    throw new Error(
      `'${name.slice(0, NAME_LIMIT)}' cannot be the name of a plugin; use lower case, digits and '-', like 'word-count' or 'app.word-count'.`,
    );
  }
  const base = name.split('.').at(-1) ?? name;
  const target = path.resolve(directory ?? base);
  const present = await readdir(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  if (present.length > 0) throw new Error(`${target} is not empty; name another folder with --directory.`);
  try {
    await copy(path.join(TEMPLATES, language), target, renaming(name, base));
    if (language !== 'python') await describeAnew(target, base.replaceAll('-', '_'));
  } catch (error) {
    await rm(target, { recursive: true, force: true });
    throw error;
  }
  return target;
}

/** Puts the new name into every form in which a template holds its own. */
function renaming(name: string, base: string): (text: string) => string {
  const words = base.split('-');
  const snake = words.join('_');
  const pascal = words.map((word) => `${word.charAt(0).toUpperCase()}${word.slice(1)}`).join('');
  const id = name.includes('.') ? name : `example.${name}`;
  return (text) =>
    text
      .replaceAll(`example.${TEMPLATE_NAME}`, id)
      .replaceAll(`${TEMPLATE_NAME}-plugin`, `${base}-plugin`)
      .replaceAll(/Greeter/g, () => pascal)
      .replaceAll(TEMPLATE_NAME, snake);
}

async function copy(from: string, to: string, rename: (text: string) => string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    // npm leaves files called .gitignore out of a package.
    const name = entry.name === 'gitignore' ? '.gitignore' : rename(entry.name);
    const source = path.join(from, entry.name);
    const target = path.join(to, name);
    if (entry.isDirectory()) await copy(source, target, rename);
    else await writeFile(target, rename(await readFile(source, 'utf8')));
  }
}

/** Generated code carries the bytes of its descriptor, in which a name cannot be replaced as text. */
async function describeAnew(directory: string, snake: string): Promise<void> {
  const stem = `${snake}/v1/${snake}_service`;
  const manifest = { ...(await readManifest(directory)), protos: [`proto/${stem}.proto`] };
  const [service] = await shippedServices(manifest, directory);
  if (service === undefined) throw new Error(`The template of ${directory} provides no service.`);
  const bytes = toBinary(FileDescriptorProtoSchema, service.file.proto);
  for (const [suffix, pattern, literal] of [
    ['_pb.ts', /(?<=fileDesc\(")[^"]+/, Buffer.from(bytes).toString('base64')],
    ['.pb.go', /(?<=_rawDesc = )"(?:"| \+\n|[^"\\\n]|\\.)*"(?=\n)/, goString(bytes)],
  ] as const) {
    const file = path.join(directory, 'gen', `${stem}${suffix}`);
    const code = await readFile(file, 'utf8').catch(() => undefined);
    if (code !== undefined)
      await writeFile(
        file,
        code.replace(pattern, () => literal),
      );
  }
}

function goString(bytes: Uint8Array): string {
  return `"${[...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}"`;
}
