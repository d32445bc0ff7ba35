import type { Recalled } from './recall.ts';
import type { PluginRecord } from './record.ts';
import type { SuccessorParts } from './successor.ts';

/**
 * Starts a plugin of which nothing is in service.
 *
 * @throws why it did not start; it is FAILED then.
 */
export async function begin(record: PluginRecord, parts: SuccessorParts): Promise<void> {
  const { lifecycle, launcher, swapper, supervisor } = parts;
  lifecycle.move(record, 'start');
  try {
    const generation = await launcher.launch(record, record);
    // A canary was promoted meanwhile: that is what somebody wants in service.
    if (record.active !== undefined) return await generation.instance.stop();
    swapper.upgrade(record, generation);
    supervisor.watch(record, generation);
  } catch (error) {
    lifecycle.move(record, 'fail', (error as Error).message);
    throw error;
  }
}

/** Goes on where an earlier run was killed. `begin` puts into service what is not on trial. */
export async function resume(
  record: PluginRecord,
  { asked, setAside, crashesMs, restarts, failure, canary }: Recalled,
  parts: SuccessorParts & { readonly begin: () => Promise<void> },
): Promise<void> {
  Object.assign(record, { asked, setAside, restarts, crashesMs: [...crashesMs], givenUp: failure });
  if (failure !== undefined) return parts.lifecycle.move(record, 'fail', failure);
  await (canary === undefined ? parts.begin() : begin(record, parts));
  // A rollback that was decided holds; putting the version into service forgets it.
  record.setAside = setAside;
  if (canary !== undefined) await resumeCanary(record, canary, parts);
}

/** Starts a canary again that an earlier run of the kernel left behind; its trial ends when that fails. */
async function resumeCanary(
  record: PluginRecord,
  { version, percent }: NonNullable<Recalled['canary']>,
  { lifecycle, log, launcher, swapper, supervisor }: SuccessorParts,
): Promise<void> {
  try {
    const generation = await launcher.launch(record, version);
    swapper.tryOut(record, generation, percent);
    supervisor.watch(record, generation);
  } catch (error) {
    const { version: name } = version.manifest;
    lifecycle.note(record, `the trial of version ${name} has ended: ${(error as Error).message}`);
    log.warn('a canary could not be started again', { plugin: record.id, version: name, error });
  }
}
