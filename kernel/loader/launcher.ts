import type { DescService } from '@bufbuild/protobuf';
import type { Generation, ReadVersion, Version } from './generation.ts';
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
  readonly start: (version: ReadVersion) => Promise<Started>;
  /** Checks what can be checked without running code, and reads the code. */
  readonly prepare: (version: Version) => Promise<ReadVersion>;
}

/** Starts versions of plugins; what comes out of it runs, is described, and gets no calls yet. */
export class Launcher {
  readonly #parts: LauncherParts;

  constructor(parts: LauncherParts) {
    this.#parts = parts;
  }

  /** Does beforehand what a start does before any code runs. @throws what is wrong with a version */
  async prepare(version: Version): Promise<ReadVersion> {
    return this.#parts.prepare(version);
  }

  /** @throws why it did not start; nothing of it is left running then. */
  async launch(record: PluginRecord, version: Version | ReadVersion): Promise<Generation> {
    const { routes, start, lifecycle } = this.#parts;
    const ready = 'code' in version ? version : await this.prepare(version);
    const { manifest, directory, level } = ready;
    const shipped = await shippedServices(manifest, directory);
    // Their methods are known before the code runs, so that calls wait for it instead of being refused.
    if (record.active === undefined) routes.open(record, shipped);
    const { instance, services } = await start(ready);
    const described = await describedOrStopped(instance, () => allDescribed(manifest, shipped, services));
    record.generations += 1;
    return {
      number: record.generations,
      manifest,
      directory,
      level,
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
