import { Code, defineError, type ErrorType, isHoldout } from '../../sdk/index.ts';
import { GRPCInferenceService } from '../../proto/gen/inference/grpc_inference_service_pb.ts';
import { StoreService } from '../../proto/gen/lamella/data/v1/store_service_pb.ts';
import { DIGITS, SPLIT } from './digits-recipe.ts';
import type { ServiceCaller } from './service-caller.ts';

/** The served model or the stored rows do not have the form that the example gave them. */
export const DigitUnexpected: ErrorType<'problem'> = defineError({
  reason: 'DIGIT_UNEXPECTED',
  code: Code.INTERNAL,
  message: ({ problem }) => `${problem}; start once more with another --home.`,
});

/** One digit and what the model says of it. */
export interface Prediction {
  readonly id: number;
  readonly label: number;
  readonly expected: number;
  readonly probability: number;
}

const CANDIDATES = 64n;
const SIDE = 28n;

/**
 * Takes the first stored digit that no training has seen and asks the served model what it is.
 *
 * @throws DIGIT_UNEXPECTED
 */
export async function predictDigit(caller: ServiceCaller, datasetVersion: string): Promise<Prediction> {
  const { id, image, expected } = await firstHeldOut(caller, datasetVersion);
  const response = await caller.call(GRPCInferenceService).modelInfer({
    modelName: DIGITS,
    inputs: [{ name: 'image', datatype: 'UINT8', shape: [1n, SIDE, SIDE] }],
    outputs: [{ name: 'probabilities' }, { name: 'label' }],
    rawInputContents: [image],
  });
  const [probabilities, label] = response.rawOutputContents;
  if (probabilities?.byteLength !== 40 || label?.byteLength !== 8) {
    throw new DigitUnexpected({ problem: `Model '${DIGITS}' did not answer ten probabilities and a label` });
  }
  const predicted = Number(view(label).getBigInt64(0, true));
  return { id, expected, label: predicted, probability: view(probabilities).getFloat32(predicted * 4, true) };
}

interface Digit {
  readonly id: number;
  readonly image: Uint8Array;
  readonly expected: number;
}

async function firstHeldOut(caller: ServiceCaller, datasetVersion: string): Promise<Digit> {
  // Loaded on first use: starting a kernel does not need it.
  const { tableFromIPC } = await import('apache-arrow');
  const request = { name: datasetVersion, columns: ['id', 'image', 'label'], limit: CANDIDATES };
  let found: Digit | undefined;
  for await (const { arrowIpc } of caller.call(StoreService).readVersion(request)) {
    for (const row of tableFromIPC(arrowIpc)) {
      const digit = digitOf(row.toJSON());
      if (isHoldout(digit.id, SPLIT.holdoutShare, SPLIT.seed)) found ??= digit;
    }
  }
  if (found !== undefined) return found;
  throw new DigitUnexpected({ problem: `No row among the first of ${datasetVersion} is held out` });
}

function digitOf(row: Readonly<Record<string, unknown>>): Digit {
  const image = row['image'];
  const values =
    image !== null && typeof image === 'object' && Symbol.iterator in image
      ? [...(image as Iterable<number>)]
      : [];
  if (values.length !== Number(SIDE * SIDE)) {
    throw new DigitUnexpected({ problem: `An image of the dataset has ${values.length} pixels, not 784` });
  }
  return { id: Number(row['id']), image: Uint8Array.from(values), expected: Number(row['label']) };
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
