import type { DescService } from '@bufbuild/protobuf';
import { isExclusive } from '../registry/exclusive.ts';
import type { Generation, Version } from './generation.ts';
import type { Started } from './inline.ts';
import type { Instance } from './instance.ts';
import type { Lifecycle } from './lifecycle.ts';
import { allDescribed, shippedServices } from './proto/shipped-services.ts';
import type { PluginRecord } from './record.ts';
import type { Routes } from './routes.ts';

/** Input of {@link Launcher}. */
export interface LauncherParts {
  readonly lifecycle: Lifecycle;
  readonly routes: Routes;
  /** Starts an instance at the level given, or else at the one the operator chose. */
  readonly start: (version: Version) => Promise<Started>;
  /** Checks what can be checked without running code, and reads the code. */
  readonly prepare: (version: Version) => Promise<Version>;
}

/** Starts versions of plugins; what comes out of it runs, is described, and gets no calls yet. */
export class Launcher {
  readonly #parts: LauncherParts;

  constructor(parts: LauncherParts) {
    this.#parts = parts;
  }

  /** Does beforehand what a start does before any code runs. @throws what is wrong with a version */
  async prepare(version: Version): Promise<Version> {
    return this.#parts.prepare(version);
  }

  /** @throws why it did not start; nothing of it is left running then. */
  async launch(record: PluginRecord, version: Version): Promise<Generation> {
    const { routes, start, prepare, lifecycle } = this.#parts;
    const { manifest, directory, level, bundle } = isExclusive(version.manifest)
      ? await prepare(version)
      : version;
    const shipped = await shippedServices(manifest, directory);
    // Their methods are known before the code runs, so that calls wait for it instead of being refused.
    if (record.active === undefined) routes.open(record, shipped);
    const { instance, services } = await start({ manifest, directory, level, bundle });
    const described = await describedOrStopped(instance, () => allDescribed(manifest, shipped, services));
    record.generations += 1;
    return {
      number: record.generations,
      manifest,
      directory,
      level,
      bundle,
      instance,
      services: described,
      startedMs: lifecycle.nowMs(),
      retirement: undefined,
    };
  }
}

async function describedOrStopped(
  instance: Instance,
  describe: () => readonly DescService[],
): Promise<readonly DescService[]> {
  try {
    return describe();
  } catch (error) {
    await instance.stop();
    throw error;
  }
}
