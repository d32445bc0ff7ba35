import type { RegistryService } from 'lamella/proto/lamella/model/v1/registry_service';
import type { DatasetVersion } from 'lamella/proto/lamella/data/v1/dataset';
import type { StoreService } from 'lamella/proto/lamella/data/v1/store_service';
import { type Client, isDeclaredError } from 'lamella/sdk';
import { type Column, decodeArrow } from 'lamella/sdk/arrow';
import { type Distribution, distributionOf } from './distribution.ts';
import { featuresOf, type FeatureValues } from './feature.ts';

/** Rows that stand for a whole version, read in pieces from all over it, since it may be sorted. */
const ROWS = 10_000;
const PIECES = 20;

/** Time that a call gets, in milliseconds. */
const CALL_LIMIT_MS = 30_000;

/** Where references are. */
export interface ReferenceSources {
  readonly store: Client<typeof StoreService>;
  readonly registry: Client<typeof RegistryService>;
}

/** What is compared with what. */
export interface ReferenceRequest {
  readonly model: string;
  readonly modelVersion: string;
  /** Dataset version that the configuration names; that of the training without it. */
  readonly reference: string | undefined;
  /** Columns of the samples, `input.NAME` and `output.NAME`. */
  readonly columns: readonly string[];
}

/** The data that a version of a model is compared with. */
export interface Reference {
  /** Name of the dataset version. */
  readonly name: string;
  readonly distributions: ReadonlyMap<string, Distribution>;
}

/** A reference that is not there; the message says why, for people. */
export class ReferenceMissing extends Error {}

/** Reads the distributions of the features that the samples have. @throws ReferenceMissing */
export async function loadReference(
  sources: ReferenceSources,
  request: ReferenceRequest,
): Promise<Reference> {
  try {
    const name = request.reference ?? (await trainingData(sources, request));
    const { version } = await sources.store.getVersion({ name }, { timeoutMs: CALL_LIMIT_MS });
    if (version === undefined) throw new ReferenceMissing(`${name} is not there`);
    return { name: version.name, distributions: await readDistributions(sources, request, version) };
  } catch (error) {
    if (!isDeclaredError(error)) throw error;
    throw new ReferenceMissing(error.message, { cause: error });
  }
}

async function readDistributions(
  { store }: ReferenceSources,
  request: ReferenceRequest,
  version: DatasetVersion,
): Promise<Reference['distributions']> {
  const known = new Set(version.schema?.fields.map((field) => field.name));
  const sources = request.columns.flatMap((column) => {
    const source = columnFor(column, known);
    return source === undefined ? [] : [{ column, source }];
  });
  if (sources.length === 0) {
    throw new ReferenceMissing(`${version.name} has none of the columns ${request.columns.join(', ')}`);
  }
  const columns = [...new Set(sources.map(({ source }) => source))];
  const pieces = await readPieces(store, version, columns);
  const distributions = new Map<string, Distribution>();
  for (const { column, source } of sources) {
    for (const [feature, values] of featuresIn(pieces, source, column)) {
      const distribution = distributionOf(values);
      if (distribution !== undefined) distributions.set(feature, distribution);
    }
  }
  return distributions;
}

async function trainingData(
  { registry }: ReferenceSources,
  { model, modelVersion }: ReferenceRequest,
): Promise<string> {
  const name = `models/${model}/versions/${modelVersion}`;
  const { version } = await registry.getVersion({ name }, { timeoutMs: CALL_LIMIT_MS });
  const dataset = version?.datasetVersion ?? '';
  if (dataset !== '') return dataset;
  throw new ReferenceMissing(
    `${name} does not say what it was trained on; name a dataset version as reference`,
  );
}

/** A log of payloads has the same names as samples; training data has those of the model. */
function columnFor(sampled: string, known: ReadonlySet<string>): string | undefined {
  return [sampled, sampled.slice(sampled.indexOf('.') + 1)].find((name) => known.has(name));
}

interface Piece {
  readonly columns: readonly Column[];
  readonly rowCount: number;
}

async function readPieces(
  store: ReferenceSources['store'],
  version: DatasetVersion,
  columns: readonly string[],
): Promise<Piece[]> {
  const { name } = version;
  const rowCount = Number(version.rowCount);
  const pieces = rowCount <= ROWS ? 1 : PIECES;
  const limit = BigInt(Math.ceil(Math.min(rowCount, ROWS) / pieces));
  const read: Piece[] = [];
  for (let piece = 0; piece < pieces; piece += 1) {
    const offset = BigInt(Math.floor((rowCount * piece) / pieces));
    const request = { name, columns: [...columns], offset, limit };
    for await (const { arrowIpc } of store.readVersion(request, { timeoutMs: CALL_LIMIT_MS })) {
      read.push(...decodeArrow(arrowIpc).batches);
    }
  }
  return read;
}

function featuresIn(
  pieces: readonly Piece[],
  source: string,
  name: string,
): ReadonlyMap<string, FeatureValues> {
  const parts = new Map<string, FeatureValues[]>();
  for (const { columns, rowCount } of pieces) {
    const column = columns.find((candidate) => candidate.name === source);
    if (column === undefined) continue;
    for (const [feature, values] of featuresOf({ ...column, name }, rowCount)) {
      parts.set(feature, [...(parts.get(feature) ?? []), values]);
    }
  }
  return new Map([...parts].map(([feature, values]) => [feature, joined(values)]));
}

function joined(parts: readonly FeatureValues[]): FeatureValues {
  if (parts[0] instanceof Float64Array)
    return Float64Array.from(parts.flatMap((part) => [...(part as Float64Array)]));
  return parts.flatMap((part) => [...(part as readonly (string | undefined)[])]);
}
