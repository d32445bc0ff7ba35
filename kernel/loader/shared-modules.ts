/**
 * What plugins share with the kernel, so that there is one copy of each in a process. The imports are written out so
 * that the bundler finds them: a name that only the running program knows would load a second copy from `dist/`.
 */
const MODULES: ReadonlyMap<string, () => Promise<unknown>> = new Map<string, () => Promise<unknown>>([
  ['lamella/sdk', () => import('../../sdk/index.ts')],
  ['lamella/sdk/arrow', () => import('../../sdk/arrow/index.ts')],
  ['lamella/sdk/onnx', () => import('../../sdk/onnx/index.ts')],
  ['lamella/sdk/ort', () => import('../../sdk/ort/index.ts')],
  ['@bufbuild/protobuf', () => import('@bufbuild/protobuf')],
  ['@bufbuild/protobuf/codegenv2', () => import('@bufbuild/protobuf/codegenv2')],
  ['@bufbuild/protobuf/reflect', () => import('@bufbuild/protobuf/reflect')],
  ['@bufbuild/protobuf/wire', () => import('@bufbuild/protobuf/wire')],
  ['@bufbuild/protobuf/wkt', () => import('@bufbuild/protobuf/wkt')],
]);

/** Names of these, as the bundler of plugins takes them. */
export const SHARED: readonly string[] = ['lamella/*', '@bufbuild/protobuf', '@bufbuild/protobuf/*'];

const REQUIRED = /require\("(lamella\/[\w./-]+|@bufbuild\/protobuf(?:\/[\w./-]+)?)"\)/g;
const PROTO = /^lamella\/proto\/([\w/]+)$/;

/** Loads all shared modules that a bundle requires; by name. */
export async function loadShared(code: string): Promise<Map<string, unknown>> {
  const names = new Set([...code.matchAll(REQUIRED)].map((match) => match[1] ?? ''));
  const modules = await Promise.all(
    [...names].map(async (name) => [name, await importShared(name)] as const),
  );
  return new Map(modules);
}

/** What is loaded already: to ask the module loader again for each plugin takes longer than to run it. */
const loaded: Map<string, Promise<unknown>> = new Map();

async function importShared(name: string): Promise<unknown> {
  const known = loaded.get(name) ?? importNow(name);
  loaded.set(name, known);
  return known;
}

async function importNow(name: string): Promise<unknown> {
  const known = MODULES.get(name);
  if (known !== undefined) return known();
  const proto = PROTO.exec(name)?.[1];
  return proto === undefined ? import(name) : import(`../../proto/gen/${proto}_pb.ts`);
}
