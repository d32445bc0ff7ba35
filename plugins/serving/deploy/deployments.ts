import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { Storage } from 'lamella/sdk';
import type { DeploymentSchema, DeploymentState } from 'lamella/proto/lamella/serving/v1/deploy_service';
import type { Place } from './target.ts';

/** A deployment as it is kept. */
export interface DeploymentRecord {
  /** Target name. */
  readonly target: string;
  /** Model id. */
  readonly model: string;
  /** Number of the version that answers, or was to; empty when none ever did. */
  readonly version: string;
  /** State. */
  readonly state: DeploymentState;
  /** Why. */
  readonly reason: string;
  /** Name and namespace at the target; missing for `local`. */
  readonly place?: Pick<Place, 'name' | 'namespace'>;
  /** Time of the last change in milliseconds since the epoch. */
  readonly updateTimeMs: number;
}

const PREFIX = 'deployments/';

/** Resource name of a deployment. */
export function deploymentName(target: string, model: string): string {
  return `${PREFIX}${target}:${model}`;
}

/** A record as a message. */
export function deploymentMessage(record: DeploymentRecord): MessageInitShape<typeof DeploymentSchema> {
  return {
    name: deploymentName(record.target, record.model),
    target: record.target,
    model: record.model,
    modelVersion: `models/${record.model}/versions/${record.version}`,
    state: record.state,
    reason: record.reason,
    updateTime: timestampFromMs(record.updateTimeMs),
  };
}

/** The deployments, in the plugin's storage under their resource names. */
export class Deployments {
  readonly #storage: Storage;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** One record; `undefined` when there is none. */
  get(name: string): Promise<DeploymentRecord | undefined> {
    return name.startsWith(PREFIX) && name.length < 200
      ? this.#storage.get(name)
      : Promise.resolve(undefined);
  }

  /** Writes a record. */
  async put(record: DeploymentRecord): Promise<void> {
    await this.#storage.put(deploymentName(record.target, record.model), record);
  }

  /** Removes a record. */
  async delete(name: string): Promise<void> {
    await this.#storage.delete(name);
  }

  /** All records in the order of their names. */
  async list(): Promise<DeploymentRecord[]> {
    const records: DeploymentRecord[] = [];
    for await (const { value } of this.#storage.range(PREFIX)) records.push(value as DeploymentRecord);
    return records;
  }
}
