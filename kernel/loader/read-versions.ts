import { readManifest } from '../registry/manifest.ts';
import type { PluginFolder, Version } from './generation.ts';
import type { Recalled } from './recall.ts';

/** A version that is to be loaded, and what is remembered of its plugin. */
export interface FoundVersion extends Version {
  readonly recalled: Recalled | undefined;
  readonly wasLoaded: boolean;
}

/** Reads the manifests of many folders; `problems` says what is wrong with those that cannot be read. */
export async function readVersions(
  folders: readonly PluginFolder[],
): Promise<{ versions: FoundVersion[]; problems: string[] }> {
  const read = await Promise.allSettled(
    folders.map(async ({ directory, level, recalled, wasLoaded = false }) => ({
      ...(recalled?.version ?? { manifest: await readManifest(directory), directory, level }),
      recalled,
      wasLoaded,
    })),
  );
  return {
    versions: read.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : [])),
    problems: read.flatMap((result) =>
      result.status === 'rejected' ? [(result.reason as Error).message] : [],
    ),
  };
}
