import { readManifest } from '../registry/manifest.ts';
import type { PluginFolder, Version } from './generation.ts';

/** Reads the manifests of many folders; `problems` says what is wrong with those that cannot be read. */
export async function readVersions(
  folders: readonly PluginFolder[],
): Promise<{ versions: Version[]; problems: string[] }> {
  const read = await Promise.allSettled(
    folders.map(async ({ directory, level }) => ({
      manifest: await readManifest(directory),
      directory,
      level,
    })),
  );
  return {
    versions: read.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : [])),
    problems: read.flatMap((result) =>
      result.status === 'rejected' ? [(result.reason as Error).message] : [],
    ),
  };
}
