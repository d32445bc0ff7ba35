import type { Logger } from '../../sdk/index.ts';
import { isExclusive } from '../registry/exclusive.ts';
import type { Generation, Version } from './generation.ts';
import type { Launcher } from './launcher.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { PluginRecord } from './record.ts';
import { slotLimits } from './slot-for.ts';
import type { Supervisor } from './supervisor.ts';
import type { Swapper } from './swapper.ts';

/** Input of {@link launchSuccessor}. */
export interface SuccessorParts {
  readonly log: Logger;
  readonly lifecycle: Lifecycle;
  readonly launcher: Launcher;
  readonly swapper: Swapper;
  readonly supervisor: Supervisor;
}

/**
 * Starts the version that shall take the place of the one in service: beside it, or, when one of them is exclusive,
 * after it has finished its calls and stopped. Calls wait meanwhile.
 *
 * @throws why it did not start. The version before is in service then: an exclusive one was started again.
 */
export async function launchSuccessor(
  record: PluginRecord,
  version: Version,
  parts: SuccessorParts,
): Promise<Generation> {
  const { active } = record;
  const { launcher } = parts;
  const isAlone = isExclusive(version.manifest) || (active !== undefined && isExclusive(active.manifest));
  if (active === undefined || !isAlone) return launcher.launch(record, version);
  // Whatever can be found wrong with it is found while the old one still serves.
  const prepared = await launcher.prepare(version);
  // It may have crashed meanwhile, or been rolled back.
  const before = record.active;
  if (before === undefined) return launcher.launch(record, prepared);
  await takeOut(record, prepared, parts);
  try {
    return await launcher.launch(record, prepared);
  } catch (error) {
    await startAgain(record, before, parts);
    throw error;
  }
}

async function takeOut(
  record: PluginRecord,
  next: Version,
  { lifecycle, swapper }: SuccessorParts,
): Promise<void> {
  record.slot.limits = slotLimits(next.manifest);
  lifecycle.move(record, 'replace', `it is exclusive: version ${next.manifest.version} waits for it to stop`);
  await swapper.end(record);
}

async function startAgain(
  record: PluginRecord,
  before: Generation,
  { log, launcher, swapper, supervisor }: SuccessorParts,
): Promise<void> {
  try {
    const { digest } = before.instance;
    const generation = await launcher.launch(record, {
      ...before,
      digest: digest === '' ? undefined : digest,
    });
    swapper.upgrade(record, generation);
    supervisor.watch(record, generation);
  } catch (error) {
    log.error('the version before does not start again', { plugin: record.id, error });
    supervisor.retry(record, error as Error);
  }
}
