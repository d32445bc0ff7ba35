import { floatLiteral, identifier } from 'lamella/sdk';
import { type TNumber, type TObject, type TString, Type } from '@sinclair/typebox';
import { NothingToLearn } from '../errors.ts';
import { parseArguments, type PreprocessStep } from '../step.ts';
import { asFloatColumn, floatElements, floatValue, numericColumn } from './numeric.ts';

const Arguments: TObject<{ column: TString }> = Type.Object(
  { column: Type.String({ description: 'Column of numbers' }) },
  { additionalProperties: false },
);

const State: TObject<{ mean: TNumber; deviation: TNumber }> = Type.Object(
  { mean: Type.Number(), deviation: Type.Number({ exclusiveMinimum: 0 }) },
  { additionalProperties: false },
);

/** Subtracts the mean and divides by the standard deviation of the population, as scikit-learn's StandardScaler does. */
export const standardize: PreprocessStep = {
  name: 'standardize',
  description:
    'Subtracts the mean of a column and divides by its standard deviation, both over all elements; the result is FLOAT32.',
  argumentsSchema: Arguments,
  isFitted: true,
  bind: (given, columns) => {
    const { column: name } = parseArguments('standardize', Arguments, given);
    const column = numericColumn('standardize', columns, name);
    const element = column.shape.length === 0 ? identifier(name) : `unnest(${identifier(name)})`;
    return {
      reads: [name],
      fit: {
        sql: (from) =>
          `SELECT CAST(avg(v) AS DOUBLE) AS mean, CAST(stddev_pop(v) AS DOUBLE) AS deviation ` +
          `FROM (SELECT CAST(${element} AS DOUBLE) AS v FROM ${from}) WHERE NOT isnan(v)`,
        learn: ([row]) => {
          const { mean, deviation } = { mean: row?.['mean'], deviation: row?.['deviation'] };
          if (
            typeof mean !== 'number' ||
            typeof deviation !== 'number' ||
            !Number.isFinite(mean + deviation)
          ) {
            throw new NothingToLearn({
              step: 'standardize',
              detail: `column '${name}' has no finite values`,
            });
          }
          // A constant column stays constant instead of becoming infinite.
          return { mean, deviation: Math.fround(deviation) > 0 ? deviation : 1 };
        },
      },
      apply: (state) => {
        const { mean, deviation } = parseArguments('standardize', State, state);
        return {
          column: asFloatColumn(column),
          expression: floatElements(
            column,
            (x) => `(${x} - ${floatLiteral(mean)}) / ${floatLiteral(deviation)}`,
          ),
          onnx: (builder, [input]) => {
            const centred = builder.apply('Sub', [input && floatValue(builder, input), builder.scalar(mean)]);
            return builder.apply('Div', [centred, builder.scalar(deviation)]);
          },
        };
      },
    };
  },
};
