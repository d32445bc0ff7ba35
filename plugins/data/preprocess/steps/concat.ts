import { identifier } from 'lamella/sdk';
import { type TArray, type TObject, type TString, Type } from '@sinclair/typebox';
import { DataType } from 'lamella/proto/lamella/data/v1/dataset';
import { intAttribute } from 'lamella/sdk/onnx';
import { type Column, elementsIn } from '../column.ts';
import { parseArguments, type PreprocessStep } from '../step.ts';
import { floatValue, numericColumn } from './numeric.ts';

const Arguments: TObject<{ columns: TArray<TString>; output: TString }> = Type.Object(
  {
    columns: Type.Array(Type.String(), {
      minItems: 1,
      maxItems: 1_000,
      description: 'Columns of numbers or tensors',
    }),
    output: Type.String({
      minLength: 1,
      maxLength: 63,
      description: 'Name of the column that takes their place',
    }),
  },
  { additionalProperties: false },
);

/** Joins columns into one feature vector, which is what a model takes. */
export const concat: PreprocessStep = {
  name: 'concat',
  description:
    'Joins columns of numbers into one FLOAT32 vector column, in the order given; the columns go away.',
  argumentsSchema: Arguments,
  isFitted: false,
  bind: (given, all) => {
    const { columns: names, output } = parseArguments('concat', Arguments, given);
    const columns = names.map((name) => numericColumn('concat', all, name));
    const size = columns.reduce((total, column) => total + elementsIn(column), 0);
    return {
      reads: names,
      apply: () => ({
        column: { name: output, type: DataType.FLOAT32, shape: [size], nullable: false, metadata: {} },
        removes: names,
        expression: `CAST(list_concat(${columns.map(asList).join(', ')}) AS FLOAT[${size}])`,
        onnx: (builder, inputs) => {
          const flat = inputs.map((input, index) => {
            const width = elementsIn(columns[index] ?? (columns[0] as Column));
            return builder.apply('Reshape', [floatValue(builder, input), builder.integers([-1, width])]);
          });
          return builder.apply('Concat', flat, { axis: intAttribute(1) });
        },
      }),
    };
  },
};

function asList(column: Column): string {
  const name = identifier(column.name);
  return column.shape.length === 0 ? `[CAST(${name} AS FLOAT)]` : `CAST(${name} AS FLOAT[])`;
}
