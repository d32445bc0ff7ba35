import { create, fromJson, type JsonObject, toJson } from '@bufbuild/protobuf';
import { type Recipe, RecipeSchema } from 'lamella/proto/lamella/app/v1/recipe';
import { type Split, SplitSchema } from 'lamella/proto/lamella/model/v1/model';
import { RecipeInvalid } from './errors.ts';

/** Share of rows kept for evaluation when a recipe does not say. */
const HOLDOUT_SHARE = 0.2;

/** A recipe with everything filled in. */
export interface CheckedRecipe {
  readonly recipe: Recipe;
  readonly split: Split;
  /** Labels in the order of the classes; numbers when the recipe names none. */
  readonly labels: readonly string[];
  /** Id of the dataset, from the version's name. */
  readonly dataset: string;
}

const VERSION = /^datasets\/([\w.-]{1,128})\/versions\/[\w-]{1,128}$/;

/** @throws RECIPE_INVALID */
export function checkRecipe(recipe: Recipe): CheckedRecipe {
  const dataset = VERSION.exec(recipe.datasetVersion)?.[1];
  if (dataset === undefined) {
    throw new RecipeInvalid({
      problem: `dataset_version '${recipe.datasetVersion}' is not the name of a dataset version`,
    });
  }
  if (recipe.featureColumn === '' || recipe.labelColumn === '') {
    throw new RecipeInvalid({ problem: 'feature_column and label_column must name columns of the dataset' });
  }
  if (recipe.classes < 2) throw new RecipeInvalid({ problem: 'classes must be 2 or more' });
  if (recipe.classLabels.length > 0 && recipe.classLabels.length !== recipe.classes) {
    throw new RecipeInvalid({ problem: 'class_labels must be as many as classes, or none' });
  }
  const split = checkSplit(recipe.split);
  const labels =
    recipe.classLabels.length > 0
      ? recipe.classLabels
      : Array.from({ length: recipe.classes }, (_, index) => String(index));
  return { recipe, split, labels, dataset };
}

/** Fills in what training and evaluation take for fields left out, so that all of them hold out the same rows. */
function checkSplit(given: Split | undefined): Split {
  const holdoutShare = given?.holdoutShare || HOLDOUT_SHARE;
  if (!(holdoutShare > 0 && holdoutShare < 1)) {
    throw new RecipeInvalid({ problem: `split.holdout_share ${holdoutShare} is not between 0 and 1` });
  }
  return create(SplitSchema, { keyColumn: given?.keyColumn || 'id', holdoutShare, seed: given?.seed ?? 0 });
}

/** A recipe as it is kept with the model version. */
export function recipeToStruct(recipe: Recipe): JsonObject {
  return toJson(RecipeSchema, recipe) as JsonObject;
}

/** @throws RECIPE_INVALID if the stored recipe is of an unknown form. */
export function recipeFromStruct(struct: JsonObject): Recipe {
  try {
    return fromJson(RecipeSchema, struct, { ignoreUnknownFields: true });
  } catch (cause) {
    throw new RecipeInvalid(
      { problem: `the stored recipe cannot be read (${(cause as Error).message})` },
      { cause },
    );
  }
}
