import { identifier } from 'lamella/sdk';
import { type TArray, type TInteger, type TObject, type TString, Type } from '@sinclair/typebox';
import { columnNamed, elementsIn } from '../column.ts';
import { ColumnUnfit } from '../errors.ts';
import { parseArguments, type PreprocessStep } from '../step.ts';

const Arguments: TObject<{ column: TString; shape: TArray<TInteger> }> = Type.Object(
  {
    column: Type.String({ description: 'Column of tensors or numbers' }),
    shape: Type.Array(Type.Integer({ minimum: 1, maximum: 2_147_483_647 }), {
      minItems: 1,
      maxItems: 8,
      description: 'Sizes of the dimensions of one row, without the batch',
    }),
  },
  { additionalProperties: false },
);

/** Gives the tensor of each row another shape. */
export const reshape: PreprocessStep = {
  name: 'reshape',
  description: 'Gives the tensor of each row another shape with as many elements.',
  argumentsSchema: Arguments,
  isFitted: false,
  bind: (given, columns) => {
    const { column: name, shape } = parseArguments('reshape', Arguments, given);
    const column = columnNamed(columns, name);
    const wanted = { ...column, shape };
    if (elementsIn(wanted) !== elementsIn(column)) {
      throw new ColumnUnfit({
        step: 'reshape',
        column: name,
        detail: `a row has ${elementsIn(column)} elements, the shape ${shape.join(' x ')} asks for ${elementsIn(wanted)}`,
      });
    }
    return {
      reads: [name],
      apply: () => ({
        column: wanted,
        // Lists are flat in SQL; only a plain value has to become one.
        ...(column.shape.length === 0 ? { expression: `array_value(${identifier(name)})` } : {}),
        // 0 keeps the batch dimension, also when it is empty.
        onnx: (builder, [input]) => builder.apply('Reshape', [input, builder.integers([0, ...shape])]),
      }),
    };
  },
};
