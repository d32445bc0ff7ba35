import { identifier, INPUT } from 'lamella/sdk';
import { createHash } from 'node:crypto';
import type { JsonObject } from '@bufbuild/protobuf';
import { type Column, columnNamed, type Columns } from './column.ts';
import { PipelineInvalid, TooManySteps } from './errors.ts';
import { chain } from './sql.ts';
import type { AppliedStep, BoundStep, Row } from './step.ts';
import { stepNamed } from './step-table.ts';

/** A step as it is asked for. */
export interface StepRequest {
  readonly name: string;
  readonly arguments: JsonObject;
}

/** A step with what it learned. */
export interface LearnedStep extends StepRequest {
  readonly state: JsonObject;
}

/** A step on its place in a pipeline. */
export interface PlacedStep {
  readonly name: string;
  readonly reads: readonly string[];
  readonly applied: AppliedStep;
}

/** A pipeline whose steps have learned. */
export interface Pipeline {
  /** SHA-256 of the steps and what they learned. */
  readonly id: string;
  readonly learned: readonly LearnedStep[];
  readonly steps: readonly PlacedStep[];
  readonly sql: string;
  readonly columns: Columns;
}

/** Runs a query over the raw rows and gives its rows. */
export type RunQuery = (sql: string) => Promise<readonly Row[]>;

const MAX_STEPS = 200;

/** Lets steps learn one after the other, each from what the steps before it give. */
export async function fitPipeline(
  requests: readonly StepRequest[],
  columns: Columns,
  { query, condition }: { readonly query: RunQuery; readonly condition: string },
): Promise<Pipeline> {
  const source =
    condition === '' ? identifier(INPUT) : `(SELECT * FROM ${identifier(INPUT)} WHERE (${condition}))`;
  return buildPipeline(requests, columns, async (bound, selections) => {
    if (bound.fit === undefined) return {};
    return bound.fit.learn(await query(bound.fit.sql(`(${chain(selections, source)})`)));
  });
}

/** Rebuilds a pipeline from what was learned before; nothing that a caller could have changed is taken over unchecked. */
export async function restorePipeline(learned: readonly LearnedStep[], columns: Columns): Promise<Pipeline> {
  const states = learned.map(({ state }) => state);
  return buildPipeline(learned, columns, (_bound, _selections, index) => {
    const state = states[index];
    if (state === undefined) throw new PipelineInvalid({ detail: `step ${index} has no state` });
    return state;
  });
}

type FindState = (
  bound: BoundStep,
  selections: readonly string[],
  index: number,
) => JsonObject | Promise<JsonObject>;

async function buildPipeline(
  requests: readonly StepRequest[],
  columns: Columns,
  findState: FindState,
): Promise<Pipeline> {
  if (requests.length > MAX_STEPS) {
    throw new TooManySteps({ count: String(requests.length), maximum: String(MAX_STEPS) });
  }
  const learned: LearnedStep[] = [];
  const steps: PlacedStep[] = [];
  const selections: string[] = [];
  let current = columns;
  for (const [index, request] of requests.entries()) {
    const bound = stepNamed(request.name).bind(request.arguments, current);
    const state = await findState(bound, selections, index);
    const applied = bound.apply(state);
    const next = columnsAfter(current, applied);
    selections.push(selectionOf(current, next, applied));
    steps.push({ name: request.name, reads: bound.reads, applied });
    learned.push({ name: request.name, arguments: request.arguments, state });
    current = next;
  }
  const id = createHash('sha256').update(JSON.stringify(learned, sortKeys)).digest('hex');
  return { id, learned, steps, sql: chain(selections), columns: current };
}

function columnsAfter(columns: Columns, { column, removes = [] }: AppliedStep): Columns {
  const kept = new Map<string, Column>([...columns].filter(([name]) => !removes.includes(name)));
  return kept.set(column.name, column);
}

function selectionOf(before: Columns, after: Columns, { column, expression }: AppliedStep): string {
  const items = [...after.keys()].map((name) => {
    if (name !== column.name) return identifier(columnNamed(before, name).name);
    return expression === undefined ? identifier(name) : `${expression} AS ${identifier(name)}`;
  });
  return items.join(', ');
}

function sortKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
