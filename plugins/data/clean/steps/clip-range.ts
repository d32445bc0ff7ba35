import { identifier, numberLiteral } from 'lamella/sdk';
import { type TNumber, type TObject, type TOptional, type TString, Type } from '@sinclair/typebox';
import { columnNamed, isFloat, numberType } from '../column.ts';
import { StepArgumentsInvalid } from '../errors.ts';
import { type CleanStep, parseArguments } from '../step.ts';

const Arguments: TObject<{ column: TString; minimum: TOptional<TNumber>; maximum: TOptional<TNumber> }> =
  Type.Object(
    {
      column: Type.String({ description: 'Column of numbers' }),
      minimum: Type.Optional(Type.Number({ description: 'Smaller values become this one' })),
      maximum: Type.Optional(Type.Number({ description: 'Larger values become this one' })),
    },
    { additionalProperties: false },
  );

/** Moves values outside a range to its ends. */
export const clipRange: CleanStep = {
  name: 'clip_range',
  description: 'Moves numbers outside a range to its nearer end; missing values stay missing.',
  argumentsSchema: Arguments,
  plan: (given, columns) => {
    const { column: name, minimum, maximum } = parseArguments('clip_range', Arguments, given);
    const column = columnNamed(columns, name);
    const type = numberType('clip_range', column);
    checkRange(minimum, maximum, isFloat(column));
    const below = (x: string): string =>
      minimum === undefined ? 'false' : `${x} < ${numberLiteral(minimum)}`;
    // NaN counts as the largest number in DuckDB.
    const notNan = (x: string): string => (isFloat(column) ? ` AND NOT isnan(${x})` : '');
    const above = (x: string): string =>
      maximum === undefined ? 'false' : `(${x} > ${numberLiteral(maximum)}${notNan(x)})`;
    const clip = (x: string): string =>
      `CASE WHEN ${below(x)} THEN ${numberLiteral(minimum ?? 0)} WHEN ${above(x)} THEN ${numberLiteral(maximum ?? 0)} ELSE ${x} END`;
    const isOutside = (x: string): string => `(${below(x)} OR ${above(x)})`;
    const quoted = identifier(name);
    if (column.shape.length === 0) {
      const expression = `CAST(${clip(quoted)} AS ${type})`;
      return {
        replace: { column: name, expression, changed: `CASE WHEN ${isOutside(quoted)} THEN 1 ELSE 0 END` },
      };
    }
    const size = column.shape.reduce((product, next) => product * next, 1n);
    return {
      replace: {
        column: name,
        expression: `CAST(list_transform(${quoted}, lambda x: ${clip('x')}) AS ${type}[${size}])`,
        changed: `len(list_filter(${quoted}, lambda x: ${isOutside('x')}))`,
      },
    };
  },
};

function checkRange(minimum: number | undefined, maximum: number | undefined, isFloatColumn: boolean): void {
  const ends = [minimum, maximum].filter((end) => end !== undefined);
  const fail = (detail: string): never => {
    throw new StepArgumentsInvalid({ step: 'clip_range', detail });
  };
  if (ends.length === 0) fail("give 'minimum', 'maximum' or both");
  if ((minimum ?? -Infinity) > (maximum ?? Infinity)) fail("'minimum' is above 'maximum'");
  if (!isFloatColumn && !ends.every(Number.isSafeInteger))
    fail('the column holds whole numbers, so must the range');
}
