import type { MessageInitShape } from '@bufbuild/protobuf';
import type { DatasetVersion } from 'lamella/proto/lamella/data/v1/dataset';
import type { EngineService } from 'lamella/proto/lamella/data/v1/engine_service';
import type {
  CheckRequest,
  CheckResponseSchema,
  ColumnDrift,
  DetectDriftRequest,
  DetectDriftResponseSchema,
  ProfileRequest,
  ProfileResponse,
  Rule,
} from 'lamella/proto/lamella/data/v1/quality_service';
import type { StoreService } from 'lamella/proto/lamella/data/v1/store_service';
import { type CallContext, type Client, INPUT } from 'lamella/sdk';
import { checkRules } from './check.ts';
import { type Columns, columnsNamed } from './column.ts';
import { CURRENT, driftOf, REFERENCE } from './drift.ts';
import { VersionMissing } from './errors.ts';
import { profileColumns } from './profile.ts';
import { queryOver, type RunQuery } from './query.ts';
import { suggestRules } from './suggest.ts';

/** The services that quality stands on. */
export interface InspectorParts {
  readonly store: Client<typeof StoreService>;
  readonly engine: Client<typeof EngineService>;
}

interface Opened {
  readonly columns: Columns;
  readonly query: RunQuery;
}

const DEFAULT_DRIFT = 0.2;

/** Measures versions in the engine. */
export class Inspector {
  readonly #parts: InspectorParts;

  constructor(parts: InspectorParts) {
    this.#parts = parts;
  }

  /** Figures about columns. */
  async profile(request: ProfileRequest, context: CallContext): Promise<ProfileResponse> {
    const { columns, query } = await this.#open(request.version, context);
    return profileColumns(columnsNamed(columns, request.columns), query);
  }

  /** How rules come out. */
  async check(
    request: CheckRequest,
    context: CallContext,
  ): Promise<MessageInitShape<typeof CheckResponseSchema>> {
    const { columns, query } = await this.#open(request.version, context);
    return checkRules(request.rules, columns, query);
  }

  /** Rules that a version keeps. */
  async suggest(name: string, context: CallContext): Promise<Rule[]> {
    const { columns, query } = await this.#open(name, context);
    return suggestRules(await profileColumns(columnsNamed(columns, []), query), columns);
  }

  /** Compares two versions column by column; without names, those columns that both have and that hold plain values. */
  async drift(
    request: DetectDriftRequest,
    context: CallContext,
  ): Promise<MessageInitShape<typeof DetectDriftResponseSchema>> {
    const reference = await this.#version(request.referenceVersion, context);
    const current = await this.#version(request.currentVersion, context);
    const known = columnsOf(current);
    const shared = [...columnsOf(reference)].filter(
      ([name, { shape }]) => known.has(name) && shape.length === 0,
    );
    const inputs = [
      { alias: REFERENCE, version: reference.name },
      { alias: CURRENT, version: current.name },
    ];
    const query = queryOver(this.#parts.engine, inputs, context);
    const threshold = request.threshold === 0 ? DEFAULT_DRIFT : request.threshold;
    const columns: ColumnDrift[] = [];
    for (const column of columnsNamed(new Map(shared), request.columns)) {
      columns.push(await driftOf(column, threshold, query));
    }
    return { drifted: columns.some(({ drifted }) => drifted), columns };
  }

  async #open(name: string, context: CallContext): Promise<Opened> {
    const version = await this.#version(name, context);
    const inputs = [{ alias: INPUT, version: version.name }];
    return { columns: columnsOf(version), query: queryOver(this.#parts.engine, inputs, context) };
  }

  async #version(name: string, context: CallContext): Promise<DatasetVersion> {
    const { version } = await this.#parts.store.getVersion({ name }, { context });
    if (version === undefined) throw new VersionMissing({ name });
    return version;
  }
}

function columnsOf(version: DatasetVersion): Columns {
  return new Map((version.schema?.fields ?? []).map((field) => [field.name, field]));
}
