import { create, type JsonObject, type MessageInitShape } from '@bufbuild/protobuf';
import type {
  CleanRequest,
  CleanResponseSchema,
  CleanStepReport,
  PlanCleanRequest,
  PlanCleanResponseSchema,
} from 'lamella/proto/lamella/data/v1/clean_service';
import { CleanStepReportSchema } from 'lamella/proto/lamella/data/v1/clean_service';
import type { DatasetVersion, Step } from 'lamella/proto/lamella/data/v1/dataset';
import type { EngineService } from 'lamella/proto/lamella/data/v1/engine_service';
import type { StoreService } from 'lamella/proto/lamella/data/v1/store_service';
import { type CallContext, type Client, INPUT } from 'lamella/sdk';
import { VersionMissing } from './errors.ts';
import { type CleanPlan, planClean, type StepRequest } from './plan.ts';
import { queryRows } from './query.ts';
import type { Row } from './row.ts';

/** The services that cleaning stands on. */
export interface CleanerParts {
  readonly store: Client<typeof StoreService>;
  readonly engine: Client<typeof EngineService>;
}

/** Progress of a cleaning. */
export type CleanAnswer = MessageInitShape<typeof CleanResponseSchema>;

/** Plans cleanings and runs them in the engine. */
export class Cleaner {
  readonly #parts: CleanerParts;

  constructor(parts: CleanerParts) {
    this.#parts = parts;
  }

  /** The SQL that a cleaning would run. */
  async plan(
    request: PlanCleanRequest,
    context: CallContext,
  ): Promise<MessageInitShape<typeof PlanCleanResponseSchema>> {
    const version = await this.#version(request.version, context);
    const { sql } = planFor(version, requestsOf(request.steps));
    return version.schema === undefined ? { sql } : { sql, outputSchema: version.schema };
  }

  /** Cleans a version into a new one; the last answer holds it, and what each step did. */
  async *clean(request: CleanRequest, context: CallContext): AsyncGenerator<CleanAnswer> {
    const version = await this.#version(request.version, context);
    const steps = requestsOf(request.steps);
    const plan = planFor(version, steps);
    const [counts] = await queryRows(
      this.#parts.engine,
      { version: version.name, sql: plan.reportSql },
      context,
    );
    const answers = this.#parts.engine.run(
      {
        inputs: [{ alias: INPUT, version: version.name }],
        sql: plan.sql,
        outputDataset: request.outputDataset,
        step: { name: 'clean', arguments: { steps: steps.map(asJson) } },
        ...(version.schema === undefined ? {} : { outputSchema: version.schema }),
        requestId: request.requestId,
      },
      { context },
    );
    for await (const { rows, version: written } of answers) {
      yield written === undefined
        ? { rows }
        : { rows, version: written, report: reportOf(steps, counts ?? {}) };
    }
  }

  async #version(name: string, context: CallContext): Promise<DatasetVersion> {
    const { version } = await this.#parts.store.getVersion({ name }, { context });
    if (version === undefined) throw new VersionMissing({ name });
    return version;
  }
}

function planFor(version: DatasetVersion, steps: readonly StepRequest[]): CleanPlan {
  return planClean(steps, new Map((version.schema?.fields ?? []).map((field) => [field.name, field])));
}

function requestsOf(steps: readonly Step[]): readonly StepRequest[] {
  return steps.map((step) => ({ name: step.name, arguments: step.arguments ?? {} }));
}

function asJson(step: StepRequest): JsonObject {
  return { name: step.name, arguments: step.arguments };
}

function reportOf(steps: readonly StepRequest[], counts: Row): CleanStepReport[] {
  const count = (name: string): bigint => BigInt(Math.round(Number(counts[name] ?? 0)));
  return steps.map((step, index) =>
    create(CleanStepReportSchema, {
      step: step.name,
      rowsBefore: count(`rows${index}`),
      rowsAfter: count(`rows${index + 1}`),
      valuesChanged: count(`changed${index + 1}`),
    }),
  );
}
