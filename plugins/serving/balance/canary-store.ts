import { create, toJsonString } from '@bufbuild/protobuf';
import type { Storage } from 'lamella/sdk';
import { type Traffic, TrafficSchema } from 'lamella/proto/lamella/serving/v1/balance_service';
import type { CanaryProgress } from './canary-trial.ts';

const PREFIX = 'canary/';

interface Kept {
  readonly progress: CanaryProgress;
  /** The canary and the candidate that the progress is of. */
  readonly trial: string;
}

/** Keeps how far canaries have come. */
export class CanaryStore {
  readonly #storage: Storage;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** Progress of the canary of this traffic; `undefined` when it is another one than that which was kept. */
  async get(traffic: Traffic): Promise<CanaryProgress | undefined> {
    const kept = await this.#storage.get<Kept>(PREFIX + traffic.model);
    return kept?.trial === trialOf(traffic) ? kept.progress : undefined;
  }

  async put(traffic: Traffic, progress: CanaryProgress): Promise<void> {
    const kept: Kept = { progress, trial: trialOf(traffic) };
    await this.#storage.put(PREFIX + traffic.model, kept);
  }

  async delete(model: string): Promise<void> {
    await this.#storage.delete(PREFIX + model);
  }
}

/** What makes a canary another one: its rules, and what the candidate is. */
function trialOf({ canary, splits }: Traffic): string {
  const candidate = canary?.candidate === '' ? 'canary' : canary?.candidate;
  const trial = {
    ...(canary === undefined ? {} : { canary }),
    splits: splits.filter(({ label }) => label === candidate),
  };
  return toJsonString(TrafficSchema, create(TrafficSchema, trial));
}
