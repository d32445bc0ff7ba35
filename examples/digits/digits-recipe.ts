import { create } from '@bufbuild/protobuf';
import { type Recipe, RecipeSchema } from '../../proto/gen/lamella/app/v1/recipe_pb.ts';

/** Ids of the example, in the dataset catalogue and in the model registry. */
export const DIGITS = 'digits';

/** Name by which the model in service is found. */
export const CHAMPION: string = `models/${DIGITS}/aliases/champion`;

const SIDE = 28;
const CLASSES = 10;

/** Which digits are never trained on, whatever is trained. */
export const SPLIT = { keyColumn: 'id', holdoutShare: 0.2, seed: 0 } as const;

/** Architectures of the example, with settings under which two cores train them in a second and in half a minute. */
export const ARCHITECTURES = {
  linear: { epochs: 10, batchSize: 32, learningRate: 0.001, optimizer: 'adam', seed: 1 },
  cnn: { epochs: 6, batchSize: 32, learningRate: 0.003, optimizer: 'adam', seed: 1 },
} as const;

/** Name of one of {@link ARCHITECTURES}. */
export type DigitsArchitecture = keyof typeof ARCHITECTURES;

/**
 * How the digits model is made: raw pixels 0 to 255 come in, so scaling and shape are part of the served graph.
 *
 * @remarks A linear layer of 784 to 10 with Adam reaches 0.91 in under two seconds, two convolutions 0.97 in half a
 * minute; the recipe is kept with the model, so that the console's retrain button repeats it with feedback added.
 */
export function digitsRecipe(datasetVersion: string, architecture: DigitsArchitecture): Recipe {
  return create(RecipeSchema, {
    datasetVersion,
    featureColumn: 'image',
    labelColumn: 'label',
    classes: CLASSES,
    cleanSteps: [{ name: 'drop_missing', arguments: { columns: ['image', 'label'] } }],
    preprocessSteps: [
      { name: 'scale', arguments: { column: 'image', factor: 1 / 255 } },
      { name: 'reshape', arguments: { column: 'image', shape: [1, SIDE, SIDE] } },
    ],
    rules: [
      { kind: 'row_count', arguments: { minimum: 1000 } },
      { kind: 'is_complete', column: 'label' },
      { kind: 'in_range', column: 'label', arguments: { minimum: 0, maximum: CLASSES - 1 } },
      { kind: 'class_balance', column: 'label', arguments: { minimum_share: 0.5 } },
    ],
    architecture,
    hyperparameters: ARCHITECTURES[architecture],
    split: SPLIT,
    engine: 'onnx',
    target: 'local',
  });
}
