import type { JsonObject } from '@bufbuild/protobuf';
import type { Static, TObject } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import type { Columns } from './column.ts';
import { StepArgumentsInvalid } from './errors.ts';

/** A cleaning step that can be asked for; it keeps the columns as they are. */
export interface CleanStep {
  readonly name: string;
  /** One sentence for people. */
  readonly description: string;
  /** JSON Schema of the arguments. */
  readonly argumentsSchema: TObject;
  /** Checks arguments and columns. @throws STEP_ARGUMENTS_INVALID COLUMN_UNKNOWN */
  plan(given: JsonObject, columns: Columns): StepPlan;
}

/** What a step does, in SQL. */
export interface StepPlan {
  /** Condition of the rows that stay; absent when all do. */
  readonly keep?: string;
  /** Columns by which only the first of equal rows stays; absent when equal rows may be. */
  readonly distinctOn?: readonly string[];
  /** New expression of one column. */
  readonly replace?: {
    readonly column: string;
    readonly expression: string;
    /** Number of values in one row that change. */
    readonly changed: string;
  };
}

/** Fills in defaults and checks the arguments of a step. @throws STEP_ARGUMENTS_INVALID */
export function parseArguments<Schema extends TObject>(
  step: string,
  schema: Schema,
  given: JsonObject,
): Static<Schema> {
  const value: unknown = Value.Default(schema, structuredClone(given));
  const error = Value.Errors(schema, value).First();
  if (error !== undefined) {
    const where = error.path === '' ? '' : `${error.path.slice(1)}: `;
    throw new StepArgumentsInvalid({ step, detail: `${where}${error.message.slice(0, 200)}` });
  }
  return value as Static<Schema>;
}
