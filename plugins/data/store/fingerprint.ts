import { createHash } from 'node:crypto';
import { type JsonValue, toJson } from '@bufbuild/protobuf';
import { SchemaSchema, type Step, StepSchema } from 'lamella/proto/lamella/data/v1/dataset';
import type { WriteVersionHeader } from 'lamella/proto/lamella/data/v1/store_service';

/**
 * Names a version by how it was made: the same step with the same arguments on the same parents has the same
 * fingerprint. A version without parents is named by its content.
 *
 * @param parents - Fingerprints of the parents, in order.
 * @param contentDigest - SHA-256 of the rows in hex.
 * @returns 40 hex digits.
 */
export function fingerprint(
  header: WriteVersionHeader,
  parents: readonly string[],
  contentDigest: string,
): string {
  const made = {
    dataset: header.dataset,
    parents,
    step: stepJson(header.step),
    schema: header.schema === undefined ? undefined : toJson(SchemaSchema, header.schema),
    content: parents.length === 0 ? contentDigest : undefined,
  };
  return createHash('sha256').update(canonical(made)).digest('hex').slice(0, 40);
}

function stepJson(step: Step | undefined): JsonValue | undefined {
  return step === undefined ? undefined : toJson(StepSchema, step);
}

/** JSON with sorted keys, so that the order in which somebody wrote arguments does not matter. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );
}
