import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { type Language, newPlugin } from '../../kernel/cli/plugin-new.ts';
import { ROOT } from './echo-plugin.ts';

/** A plugin that `lamella plugin new` has just made. */
export interface MadePlugin {
  readonly directory: string;
  remove(): Promise<void>;
}

/** Makes a plugin inside the checkout; `lamella` is the checkout itself, where npm would have put the package. */
export async function makePlugin(language: Language, name: string): Promise<MadePlugin> {
  const parent = path.join(ROOT, 'dist/test/templates');
  await mkdir(parent, { recursive: true });
  const folder = await mkdtemp(path.join(parent, `${language}-`));
  const directory = await newPlugin({ name, language, directory: path.join(folder, 'plugin') });
  await mkdir(path.join(folder, 'node_modules'));
  await symlink(ROOT, path.join(folder, 'node_modules/lamella'));
  return { directory, remove: () => rm(folder, { recursive: true, force: true }) };
}
