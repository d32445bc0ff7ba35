import { DataType } from 'lamella/proto/lamella/data/v1/dataset';
import type { Feedback } from 'lamella/proto/lamella/app/v1/feedback_service';
import type { Field } from 'lamella/proto/lamella/data/v1/dataset';
import { isHoldout } from 'lamella/sdk';
import { type Column, encodeArrow } from 'lamella/sdk/arrow';
import { RecipeInvalid } from './errors.ts';
import { feedbackNumber } from './feedback-store.ts';
import type { CheckedRecipe } from './recipe.ts';

/** Keys of feedback rows begin here, far above the keys of any collected row. */
const FIRST_KEY = 1_000_000_000;

/** Room for each feedback to find a key outside the hold-out. */
const KEYS_EACH = 64;

/** Above the largest key a 32-bit column holds. */
const KEY_LIMIT = 2 ** 31;

/** Feedback as rows of the dataset that a recipe trains on. */
export interface FeedbackRows {
  readonly rows: number;
  readonly arrowIpc: Uint8Array;
}

/**
 * Turns corrections into training rows.
 *
 * @remarks Their keys are chosen so that none falls into the hold-out: people correct a model to teach it, and both
 * models of a comparison must be measured on the same rows.
 * @throws RECIPE_INVALID if the dataset's columns are of a kind that feedback cannot fill.
 */
export function feedbackRows(
  feedback: readonly Feedback[],
  fields: readonly Field[],
  checked: CheckedRecipe,
): FeedbackRows {
  const { recipe, split, labels } = checked;
  const feature = fields.find(({ name }) => name === recipe.featureColumn);
  const width = (feature?.shape ?? []).reduce((product, size) => product * Number(size), 1);
  if (feature?.type !== DataType.UINT8) {
    throw new RecipeInvalid({
      problem: `feedback can only be added to a feature column of bytes, and '${recipe.featureColumn}' is none`,
    });
  }
  checkColumns(fields, checked);
  const keys = new Map(feedback.map((item) => [item, keyOutsideHoldout(feedbackNumber(item), checked)]));
  const usable = feedback.filter(
    (item) =>
      item.input?.data.byteLength === width && labels.includes(item.correct) && keys.get(item) !== undefined,
  );
  const features = new Uint8Array(usable.length * width);
  usable.forEach(({ input }, row) => features.set(input?.data ?? [], row * width));
  const columns: Column[] = [
    {
      name: split.keyColumn,
      type: DataType.INT32,
      shape: [],
      values: Int32Array.from(usable, (item) => keys.get(item) ?? 0),
    },
    { name: recipe.featureColumn, type: DataType.UINT8, shape: feature.shape.map(Number), values: features },
    {
      name: recipe.labelColumn,
      type: DataType.INT32,
      shape: [],
      values: Int32Array.from(usable, ({ correct }) => labels.indexOf(correct)),
    },
  ];
  return { rows: usable.length, arrowIpc: encodeArrow({ rowCount: usable.length, columns }) };
}

/** The batch below holds whole numbers of 32 bits; the store refuses any other column under the dataset's schema. */
function checkColumns(fields: readonly Field[], { recipe, split }: CheckedRecipe): void {
  for (const name of [split.keyColumn, recipe.labelColumn]) {
    const field = fields.find((candidate) => candidate.name === name);
    if (field?.type === DataType.INT32) continue;
    throw new RecipeInvalid({
      problem: `feedback can only be added if column '${name}' has type INT32; cast it when the data is collected`,
    });
  }
}

/** A key of its own for a feedback; nothing if the share held out leaves none, or keys have no room left. */
function keyOutsideHoldout(number: number, { split }: CheckedRecipe): number | undefined {
  const first = FIRST_KEY + number * KEYS_EACH;
  for (let key = first; key < Math.min(first + KEYS_EACH, KEY_LIMIT); key += 1) {
    if (!isHoldout(key, split.holdoutShare, split.seed)) return key;
  }
  return undefined;
}
