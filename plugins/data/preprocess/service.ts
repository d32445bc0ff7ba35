import type { JsonObject } from '@bufbuild/protobuf';
import type { PreprocessService } from 'lamella/proto/lamella/data/v1/preprocess_service';
import { type ServiceImplementation, pageOf } from 'lamella/sdk';
import type { Preprocessor } from './preprocessor.ts';
import { STEPS } from './step-table.ts';

/** PreprocessService over a preprocessor. */
export function preprocessService(
  preprocessor: Preprocessor,
): ServiceImplementation<typeof PreprocessService> {
  return {
    listPreprocessSteps: (request) => {
      const { items, nextPageToken } = pageOf(STEPS, (step) => step.name, request);
      const steps = items.map(({ name, description, argumentsSchema, isFitted }) => ({
        name,
        description,
        argumentsSchema: JSON.parse(JSON.stringify(argumentsSchema)) as JsonObject,
        fitted: isFitted,
        servable: true,
      }));
      return { steps, nextPageToken };
    },
    fit: async (request, context) => ({ pipeline: await preprocessor.fit(request, context) }),
    transform: (request, context) => preprocessor.transform(request, context),
  };
}
