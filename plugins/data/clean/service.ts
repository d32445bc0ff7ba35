import type { JsonObject } from '@bufbuild/protobuf';
import type { CleanService } from 'lamella/proto/lamella/data/v1/clean_service';
import { type ServiceImplementation, pageOf } from 'lamella/sdk';
import type { Cleaner } from './cleaner.ts';
import { STEPS } from './step-table.ts';

/** CleanService over a cleaner. */
export function cleanService(cleaner: Cleaner): ServiceImplementation<typeof CleanService> {
  return {
    listCleanSteps: (request) => {
      const { items, nextPageToken } = pageOf(STEPS, (step) => step.name, request);
      const steps = items.map(({ name, description, argumentsSchema }) => ({
        name,
        description,
        argumentsSchema: JSON.parse(JSON.stringify(argumentsSchema)) as JsonObject,
      }));
      return { steps, nextPageToken };
    },
    planClean: (request, context) => cleaner.plan(request, context),
    clean: (request, context) => cleaner.clean(request, context),
  };
}
