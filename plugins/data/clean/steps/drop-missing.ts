import { type TArray, type TObject, type TString, Type } from '@sinclair/typebox';
import { columnsNamed, isMissing } from '../column.ts';
import { type CleanStep, parseArguments } from '../step.ts';

const Arguments: TObject<{ columns: TArray<TString> }> = Type.Object(
  {
    columns: Type.Array(Type.String(), {
      default: [],
      maxItems: 1_000,
      description: 'Columns to look at; none means all',
    }),
  },
  { additionalProperties: false },
);

/** Removes rows in which a value is missing. */
export const dropMissing: CleanStep = {
  name: 'drop_missing',
  description: 'Removes rows in which one of the columns is NULL or NaN.',
  argumentsSchema: Arguments,
  plan: (given, columns) => {
    const { columns: names } = parseArguments('drop_missing', Arguments, given);
    const conditions = columnsNamed(columns, names).map((column) => `NOT ${isMissing(column)}`);
    return conditions.length === 0 ? {} : { keep: conditions.map(bracket).join(' AND ') };
  },
};

function bracket(condition: string): string {
  return `(${condition})`;
}
