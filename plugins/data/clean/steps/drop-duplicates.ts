import { type TArray, type TObject, type TString, Type } from '@sinclair/typebox';
import { columnsNamed } from '../column.ts';
import { type CleanStep, parseArguments } from '../step.ts';

const Arguments: TObject<{ columns: TArray<TString> }> = Type.Object(
  {
    columns: Type.Array(Type.String(), {
      default: [],
      maxItems: 1_000,
      description: 'Columns that make rows equal; none means all',
    }),
  },
  { additionalProperties: false },
);

/** Removes rows that are equal to an earlier one. */
export const dropDuplicates: CleanStep = {
  name: 'drop_duplicates',
  description: 'Removes rows that are equal to an earlier one in the columns; the first stays.',
  argumentsSchema: Arguments,
  plan: (given, columns) => {
    const { columns: names } = parseArguments('drop_duplicates', Arguments, given);
    return { distinctOn: columnsNamed(columns, names).map((column) => column.name) };
  },
};
