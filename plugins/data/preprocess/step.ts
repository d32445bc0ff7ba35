import type { JsonObject } from '@bufbuild/protobuf';
import { Value as TypeBoxValue } from '@sinclair/typebox/value';
import type { Static, TObject } from '@sinclair/typebox';
import type { GraphBuilder, Value } from 'lamella/sdk/onnx';
import type { Column, Columns } from './column.ts';
import { StepArgumentsInvalid } from './errors.ts';

/** A row of a query result, by column name. */
export type Row = Readonly<Record<string, unknown>>;

/** A preprocessing step that can be asked for. */
export interface PreprocessStep {
  readonly name: string;
  /** One sentence for people. */
  readonly description: string;
  /** JSON Schema of the arguments. */
  readonly argumentsSchema: TObject;
  readonly isFitted: boolean;
  /** Checks arguments and columns. @throws STEP_ARGUMENTS_INVALID COLUMN_UNKNOWN COLUMN_UNFIT */
  bind(given: JsonObject, columns: Columns): BoundStep;
}

/** A step with valid arguments, on known columns. */
export interface BoundStep {
  /** Columns that it reads. */
  readonly reads: readonly string[];
  /** How it learns; absent when it learns nothing. */
  readonly fit?: FitPlan;
  /** Its forms, once it has learned. @throws STEP_ARGUMENTS_INVALID if the state is not what it learns. */
  apply(state: JsonObject): AppliedStep;
}

/** How a step learns from data. */
export interface FitPlan {
  /** Query over a table with the columns before the step. */
  readonly sql: (from: string) => string;
  /** Makes the state out of the result. @throws NOTHING_TO_LEARN */
  readonly learn: (rows: readonly Row[]) => JsonObject;
}

/** Both forms of a step; they give the same numbers. */
export interface AppliedStep {
  /** Column that it changes or makes. */
  readonly column: Column;
  /** Columns that it takes away. */
  readonly removes?: readonly string[];
  /** SQL expression of the new column; absent when the values stay as they are. */
  readonly expression?: string;
  /** Adds the ONNX form: values of the columns that it reads in, value of its column out. */
  readonly onnx: (builder: GraphBuilder, inputs: readonly Value[]) => Value;
}

/** Fills in defaults and checks the arguments, or the state, of a step. @throws STEP_ARGUMENTS_INVALID */
export function parseArguments<Schema extends TObject>(
  step: string,
  schema: Schema,
  given: JsonObject,
): Static<Schema> {
  const value: unknown = TypeBoxValue.Default(schema, structuredClone(given));
  const error = TypeBoxValue.Errors(schema, value).First();
  if (error !== undefined) {
    const where = error.path === '' ? '' : `${error.path.slice(1)}: `;
    throw new StepArgumentsInvalid({ step, detail: `${where}${error.message.slice(0, 200)}` });
  }
  return value as Static<Schema>;
}
