import type { Storage } from 'lamella/sdk';
import type { LoadRecord } from './model-sources.ts';

/** Prefix of the keys under which loaded models are remembered. */
export const PREFIX: string = 'models/';

/** Models that are to be loaded after a restart. */
export async function loadedRecords(storage: Storage): Promise<[string, LoadRecord][]> {
  const records: [string, LoadRecord][] = [];
  for await (const { key, value } of storage.range(PREFIX)) {
    const record = readRecord(value);
    if (record !== undefined) records.push([key.slice(PREFIX.length), record]);
  }
  return records;
}

function readRecord(value: unknown): LoadRecord | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const fields: Readonly<Record<string, unknown>> = { ...value };
  const { source, version, folder } = fields;
  const common = {
    config: typeof fields['config'] === 'string' ? fields['config'] : undefined,
    isEvicted: fields['isEvicted'] === true,
  };
  if (source === 'folder') return { source, ...common };
  if (source === 'sent') return typeof folder === 'string' ? { source, folder, ...common } : undefined;
  // Without a source it is of the time when all models came from the registry.
  return typeof version === 'string' ? { source: 'registry', version, ...common } : undefined;
}
