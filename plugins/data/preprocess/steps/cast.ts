import { identifier } from 'lamella/sdk';
import { type TLiteral, type TObject, type TString, type TUnion, Type } from '@sinclair/typebox';
import { DataType } from 'lamella/proto/lamella/data/v1/dataset';
import { intAttribute } from 'lamella/sdk/onnx';
import { elementsIn, elementTypeOf, isFloat, sqlType } from '../column.ts';
import { parseArguments, type PreprocessStep } from '../step.ts';
import { numericColumn } from './numeric.ts';

type Target = 'FLOAT32' | 'FLOAT64' | 'INT32' | 'INT64';

const Arguments: TObject<{
  column: TString;
  type: TUnion<[TLiteral<'FLOAT32'>, TLiteral<'FLOAT64'>, TLiteral<'INT32'>, TLiteral<'INT64'>]>;
}> = Type.Object(
  {
    column: Type.String({ description: 'Column of numbers' }),
    type: Type.Union(
      [Type.Literal('FLOAT32'), Type.Literal('FLOAT64'), Type.Literal('INT32'), Type.Literal('INT64')],
      { description: 'FLOAT32, FLOAT64, INT32 or INT64; fractions are cut off' },
    ),
  },
  { additionalProperties: false },
);

const TARGETS: Readonly<Record<Target, DataType>> = {
  FLOAT32: DataType.FLOAT32,
  FLOAT64: DataType.FLOAT64,
  INT32: DataType.INT32,
  INT64: DataType.INT64,
};

/** Changes the type of numbers. */
export const cast: PreprocessStep = {
  name: 'cast',
  description: 'Changes the type of a column of numbers; fractions are cut off, not rounded.',
  argumentsSchema: Arguments,
  isFitted: false,
  bind: (given, columns) => {
    const { column: name, type } = parseArguments('cast', Arguments, given);
    const column = numericColumn('cast', columns, name);
    const target = TARGETS[type];
    // ONNX cuts fractions off where SQL rounds.
    const cutsOff = isFloat(column.type) && !isFloat(target);
    const one = (x: string): string => `CAST(${cutsOff ? `trunc(${x})` : x} AS ${sqlType(target)})`;
    const list = cutsOff ? `list_transform(${identifier(name)}, lambda x: trunc(x))` : identifier(name);
    return {
      reads: [name],
      apply: () => ({
        column: { ...column, type: target },
        expression:
          column.shape.length === 0
            ? one(identifier(name))
            : `CAST(${list} AS ${sqlType(target)}[${elementsIn(column)}])`,
        onnx: (builder, [input]) =>
          builder.apply('Cast', [input], { to: intAttribute(elementTypeOf(target) ?? 1) }),
      }),
    };
  },
};
