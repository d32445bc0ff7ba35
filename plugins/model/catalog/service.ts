import type { JsonObject } from '@bufbuild/protobuf';
import type {
  ArchitectureSchema,
  CatalogService,
  RecommendRequest,
} from 'lamella/proto/lamella/model/v1/catalog_service';
import type { CostSchema } from 'lamella/proto/lamella/model/v1/model';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { type ServiceImplementation, pageOf } from 'lamella/sdk';
import type { Architecture } from './architectures.ts';
import type { Catalog, ModelCost } from './catalog.ts';
import { InputUnfit } from './errors.ts';

/** Serves a catalogue. */
export function catalogService(catalog: Catalog): ServiceImplementation<typeof CatalogService> {
  return {
    listArchitectures: (request) => {
      const { items, nextPageToken } = pageOf(catalog.list(), ({ id }) => id, request);
      return { architectures: items.map(architectureToProto), nextPageToken };
    },
    getArchitecture: ({ id }) => ({ architecture: architectureToProto(catalog.get(id)) }),
    recommend: (request) => {
      const proposals = catalog.recommend(shapeOf(request), Number(request.rowCount), request.classes);
      return {
        recommendations: proposals.map(({ architecture, parameters, cost, reason }) => ({
          architecture,
          parameters: { ...parameters },
          cost: costToProto(cost),
          reason,
        })),
      };
    },
    build: ({ architecture, parameters, inputShape, classes, seed }) => {
      const built = catalog.build({
        architecture,
        parameters: parameters ?? {},
        inputShape: inputShape.map(Number),
        classes,
        seed,
      });
      return { onnx: built.onnx, cost: costToProto(built.cost) };
    },
  };
}

function architectureToProto(architecture: Architecture): MessageInitShape<typeof ArchitectureSchema> {
  const { id, description, parameters, inputRanks, hyperparameters } = architecture;
  return {
    id,
    description,
    // A TypeBox schema is JSON once its symbols are left out.
    parametersSchema: JSON.parse(JSON.stringify(parameters)) as JsonObject,
    inputRanks: [...inputRanks],
    defaultHyperparameters: hyperparameters,
  };
}

function costToProto({ parameters, flops, sizeBytes }: ModelCost): MessageInitShape<typeof CostSchema> {
  return { parameters: BigInt(parameters), flops: BigInt(flops), sizeBytes: BigInt(sizeBytes) };
}

/** Shape of one row of the feature column: the column named, or else the widest. */
function shapeOf({ schema, featureColumn }: RecommendRequest): readonly number[] {
  const fields = (schema?.fields ?? []).map(({ name, shape }) => ({ name, shape: shape.map(Number) }));
  const width = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);
  const field =
    featureColumn === ''
      ? fields.toSorted((left, right) => width(right.shape) - width(left.shape))[0]
      : fields.find(({ name }) => name === featureColumn);
  if (field === undefined) {
    throw new InputUnfit({ architecture: 'any', detail: `the schema has no column '${featureColumn}'` });
  }
  return field.shape.length === 0 ? [1] : field.shape;
}
