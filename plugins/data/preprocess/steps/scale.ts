import { floatLiteral } from 'lamella/sdk';
import { type Static, type TNumber, type TObject, type TString, Type } from '@sinclair/typebox';
import { parseArguments, type PreprocessStep } from '../step.ts';
import { asFloatColumn, floatElements, floatValue, numericColumn } from './numeric.ts';

const Arguments: TObject<{ column: TString; factor: TNumber; offset: TNumber }> = Type.Object(
  {
    column: Type.String({ description: 'Column of numbers' }),
    factor: Type.Number({ description: 'Every value is multiplied by it' }),
    offset: Type.Number({ default: 0, description: 'Added after that' }),
  },
  { additionalProperties: false },
);

/** Multiplies by a known factor, for example 1/255 for pixels. */
export const scale: PreprocessStep = {
  name: 'scale',
  description: 'Multiplies a column of numbers by a factor and adds an offset; the result is FLOAT32.',
  argumentsSchema: Arguments,
  isFitted: false,
  bind: (given, columns) => {
    const {
      column: name,
      factor,
      offset,
    }: Static<typeof Arguments> = parseArguments('scale', Arguments, given);
    const column = numericColumn('scale', columns, name);
    const compute = (x: string): string =>
      offset === 0
        ? `${x} * ${floatLiteral(factor)}`
        : `${x} * ${floatLiteral(factor)} + ${floatLiteral(offset)}`;
    return {
      reads: [name],
      apply: () => ({
        column: asFloatColumn(column),
        expression: floatElements(column, compute),
        onnx: (builder, [input]) => {
          const scaled = builder.apply('Mul', [input && floatValue(builder, input), builder.scalar(factor)]);
          return offset === 0 ? scaled : builder.apply('Add', [scaled, builder.scalar(offset)]);
        },
      }),
    };
  },
};
