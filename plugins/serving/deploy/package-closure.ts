import { access, readFile } from 'node:fs/promises';
import path from 'node:path';
import { PackageMissing } from './errors.ts';

/** An installed npm package. */
export interface FoundPackage {
  readonly name: string;
  readonly directory: string;
}

/**
 * Packages by name with everything that they depend on, sorted; what is optional only where it is asked for by name.
 *
 * @param roots - Folders from which Node would look for `node_modules`, upwards.
 * @throws PACKAGE_MISSING
 */
export async function packageClosure(
  names: readonly string[],
  roots: readonly string[],
): Promise<FoundPackage[]> {
  const found = new Map<string, string>();
  const waiting = names.map((name) => ({ name, from: roots }));
  for (const { name, from } of waiting) {
    if (found.has(name)) continue;
    const directory = await findPackage(name, from);
    found.set(name, directory);
    const { dependencies = {} } = JSON.parse(
      await readFile(path.join(directory, 'package.json'), 'utf8'),
    ) as {
      readonly dependencies?: Readonly<Record<string, string>>;
    };
    waiting.push(
      ...Object.keys(dependencies).map((needed) => ({ name: needed, from: [directory, ...roots] })),
    );
  }
  return [...found]
    .map(([name, directory]) => ({ name, directory }))
    .toSorted((left, right) => (left.name < right.name ? -1 : 1));
}

async function findPackage(name: string, roots: readonly string[]): Promise<string> {
  for (const root of roots) {
    let folder = path.resolve(root);
    for (;;) {
      const candidate = path.join(folder, 'node_modules', name);
      if (await exists(path.join(candidate, 'package.json'))) return candidate;
      const parent = path.dirname(folder);
      if (parent === folder) break;
      folder = parent;
    }
  }
  const processor = /-linux-(x64|arm64)$/.exec(name)?.[1];
  throw new PackageMissing({
    name,
    advice:
      processor === undefined
        ? 'install Lamella anew, from its package'
        : `npm install --force --prefix FOLDER --os=linux --cpu=${processor} ${name.startsWith('node-') ? `${name}@22` : 'lmdb'}, then set extraPackages of serving.deploy to FOLDER`,
  });
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
