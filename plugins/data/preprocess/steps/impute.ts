import { identifier, textLiteral } from 'lamella/sdk';
import type { JsonObject } from '@bufbuild/protobuf';
import {
  type TLiteral,
  type TNumber,
  type TObject,
  type TOptional,
  type TString,
  type TUnion,
  Type,
} from '@sinclair/typebox';
import { ElementType, type GraphBuilder, type Value } from 'lamella/sdk/onnx';
import { type Column, isFloat, sqlType } from '../column.ts';
import { ColumnUnfit, NothingToLearn, StepArgumentsInvalid } from '../errors.ts';
import { type BoundStep, parseArguments, type PreprocessStep } from '../step.ts';
import { asFloatColumn, floatElements, numericColumn, floatValue } from './numeric.ts';

type Strategy = 'mean' | 'median' | 'most_frequent' | 'constant';

const Arguments: TObject<{
  column: TString;
  strategy: TUnion<[TLiteral<'mean'>, TLiteral<'median'>, TLiteral<'most_frequent'>, TLiteral<'constant'>]>;
  value: TOptional<TNumber>;
}> = Type.Object(
  {
    column: Type.String({ description: 'Column of plain numbers' }),
    strategy: Type.Union(
      [Type.Literal('mean'), Type.Literal('median'), Type.Literal('most_frequent'), Type.Literal('constant')],
      { default: 'mean', description: 'mean, median, most_frequent or constant' },
    ),
    value: Type.Optional(Type.Number({ description: 'The value for the strategy constant' })),
  },
  { additionalProperties: false },
);

const State: TObject<{ value: TNumber }> = Type.Object(
  { value: Type.Number() },
  { additionalProperties: false },
);

const AGGREGATES: Readonly<Record<Exclude<Strategy, 'constant'>, string>> = {
  mean: 'avg(v)',
  median: 'median(v)',
  most_frequent: 'mode(v)',
};

/** Puts a learned value in the place of missing ones. */
export const impute: PreprocessStep = {
  name: 'impute',
  description:
    'Replaces missing numbers (NULL or NaN) by the mean, the median, the most frequent or a constant value; the result is FLOAT32.',
  argumentsSchema: Arguments,
  isFitted: true,
  bind: (given, columns) => {
    const { column: name, strategy, value } = parseArguments('impute', Arguments, given);
    const column = numericColumn('impute', columns, name);
    if (column.shape.length > 0) {
      throw new ColumnUnfit({ step: 'impute', column: name, detail: 'it holds tensors, not plain numbers' });
    }
    if ((strategy === 'constant') !== (value !== undefined)) {
      throw new StepArgumentsInvalid({
        step: 'impute',
        detail: "'value' goes with the strategy 'constant' only",
      });
    }
    return boundTo(column, strategy, value);
  },
};

function boundTo(column: Column, strategy: Strategy, value: number | undefined): BoundStep {
  const aggregate = strategy === 'constant' ? String(Number(value)) : AGGREGATES[strategy];
  return {
    reads: [column.name],
    fit: {
      sql: (from) =>
        `SELECT CAST(${aggregate} AS DOUBLE) AS value ` +
        `FROM (SELECT CAST(${identifier(column.name)} AS DOUBLE) AS v FROM ${from}) WHERE NOT isnan(v)`,
      learn: ([row]): JsonObject => {
        const learned = strategy === 'constant' ? value : row?.['value'];
        if (typeof learned === 'number' && Number.isFinite(learned)) return { value: learned };
        throw new NothingToLearn({ step: 'impute', detail: `column '${column.name}' has no values` });
      },
    },
    apply: (state) => {
      const { value: replacement } = parseArguments('impute', State, state);
      const literal = `CAST(${textLiteral(String(replacement))} AS ${sqlType(asFloatColumn(column).type)})`;
      const missing = (x: string): string =>
        isFloat(column.type) ? `${x} IS NULL OR isnan(${x})` : `${x} IS NULL`;
      return {
        column: { ...asFloatColumn(column), nullable: false },
        expression: floatElements(column, (x) => `CASE WHEN ${missing(x)} THEN ${literal} ELSE ${x} END`),
        onnx: (builder, [input]) => replaceNan(builder, input, replacement),
      };
    },
  };
}

/** A tensor cannot miss a value, so NaN stands for it; whole numbers are never missing there. */
function replaceNan(builder: GraphBuilder, input: Value | undefined, replacement: number): Value {
  const value = input && floatValue(builder, input);
  const [isMissing] = builder.call('IsNaN', [value], {
    types: [{ type: ElementType.BOOL, shape: value?.shape ?? [] }],
  });
  return builder.apply('Where', [isMissing, builder.scalar(replacement), value]);
}
