import { identifier, textLiteral } from 'lamella/sdk';
import type { JsonObject } from '@bufbuild/protobuf';
import { type TArray, type TInteger, type TObject, type TString, Type } from '@sinclair/typebox';
import { DataType } from 'lamella/proto/lamella/data/v1/dataset';
import { ElementType, type GraphBuilder, intAttribute, int64Tensor, type Value } from 'lamella/sdk/onnx';
import { type Column, columnNamed, isFloat, isNumeric } from '../column.ts';
import { ColumnUnfit, NothingToLearn } from '../errors.ts';
import { parseArguments, type PreprocessStep } from '../step.ts';

const Arguments: TObject<{ column: TString; maximum: TInteger }> = Type.Object(
  {
    column: Type.String({ description: 'Column of text, whole numbers or booleans' }),
    maximum: Type.Integer({ minimum: 1, maximum: 10_000, default: 100, description: 'Categories at most' }),
  },
  { additionalProperties: false },
);

const State: TObject<{ categories: TArray<TString> }> = Type.Object(
  { categories: Type.Array(Type.String(), { minItems: 1, maxItems: 10_000 }) },
  { additionalProperties: false },
);

/** Attribute type STRINGS and INTS of onnx/onnx: onnx/onnx.proto. */
const STRINGS = 8;
const INTS = 7;

/** Makes one element a category: 1 where the value is that category, else 0; values not met while fitting give zeros. */
export const oneHot: PreprocessStep = {
  name: 'one_hot',
  description:
    'Makes a FLOAT32 tensor with a 1 at the place of the category; missing and unknown values give zeros.',
  argumentsSchema: Arguments,
  isFitted: true,
  bind: (given, columns) => {
    const { column: name, maximum } = parseArguments('one_hot', Arguments, given);
    const column = checked(columnNamed(columns, name));
    const text = categoryText(column);
    return {
      reads: [name],
      fit: {
        sql: (from) =>
          `SELECT category FROM (SELECT DISTINCT ${text} AS category FROM ${from}) ` +
          `WHERE category IS NOT NULL ORDER BY category LIMIT ${maximum + 1}`,
        learn: (rows) =>
          learnCategories(
            rows.map((row) => String(row['category'])),
            { name, maximum, column },
          ),
      },
      apply: (state) => {
        const { categories } = parseArguments('one_hot', State, state);
        const elements = categories.map(
          (category) => `CASE WHEN ${text} = ${textLiteral(category)} THEN 1 ELSE 0 END`,
        );
        return {
          column: { ...column, type: DataType.FLOAT32, shape: [categories.length], nullable: false },
          expression: `CAST([${elements.join(', ')}] AS FLOAT[${categories.length}])`,
          onnx: (builder, [input]) => encode(builder, input, categories),
        };
      },
    };
  },
};

function checked(column: Column): Column {
  const isFit = column.shape.length === 0 && !isFloat(column.type);
  if (isFit && (isNumeric(column.type) || column.type === DataType.STRING)) return column;
  throw new ColumnUnfit({
    step: 'one_hot',
    column: column.name,
    detail: 'it must hold one text, whole number or boolean a row',
  });
}

function categoryText(column: Column): string {
  const name = identifier(column.name);
  if (column.type === DataType.STRING) return name;
  // Booleans as 0 and 1, as the ONNX form sees them.
  return `CAST(CAST(${name} AS ${column.type === DataType.BOOL ? 'TINYINT' : 'HUGEINT'}) AS VARCHAR)`;
}

function learnCategories(
  categories: readonly string[],
  { name, maximum, column }: { readonly name: string; readonly maximum: number; readonly column: Column },
): JsonObject {
  if (categories.length === 0)
    throw new NothingToLearn({ step: 'one_hot', detail: `column '${name}' has no values` });
  if (categories.length > maximum) {
    throw new NothingToLearn({
      step: 'one_hot',
      detail: `column '${name}' has more than ${maximum} categories; raise 'maximum' or leave the column out`,
    });
  }
  const isText = column.type === DataType.STRING;
  return { categories: isText ? [...categories] : categories.toSorted((a, b) => Number(a) - Number(b)) };
}

/** Text goes through LabelEncoder (ai.onnx.ml 2), since Equal takes text only from opset 19 on. */
function encode(builder: GraphBuilder, input: Value | undefined, categories: readonly string[]): Value {
  const isText = input?.type === ElementType.STRING;
  const numbers = isText ? categories.map((_, index) => index) : categories.map(Number);
  const keys = isText
    ? builder.call('LabelEncoder', [input], {
        domain: 'ai.onnx.ml',
        attributes: {
          keys_strings: { type: STRINGS, strings: categories.map((category) => Buffer.from(category)) },
          values_int64s: { type: INTS, ints: numbers.map(BigInt) },
          default_int64: intAttribute(-1),
        },
        types: [{ type: ElementType.INT64, shape: input.shape }],
      })[0]
    : builder.apply('Cast', [input], { to: intAttribute(ElementType.INT64) });
  const column = builder.apply('Unsqueeze', [keys, builder.integers([1])]);
  const known = builder.constant(int64Tensor('categories', [1, numbers.length], numbers));
  return builder.apply('Cast', [builder.apply('Equal', [column, known])], {
    to: intAttribute(ElementType.FLOAT),
  });
}
