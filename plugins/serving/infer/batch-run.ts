import { isDeclaredError } from 'lamella/sdk';
import type { OrtTensors } from 'lamella/sdk/ort';
import { type BatchLayout, hasRows, joinRows, splitRows } from './batch.ts';
import type { BatchEntry } from './batch-entry.ts';
import { traceBatch } from './request-trace.ts';
import type { RunTimes } from './statistics.ts';

/** What runs batches. */
export interface BatchRunner {
  /** Runs the model. */
  readonly run: (tensors: OrtTensors) => Promise<OrtTensors>;
  /** How requests are joined; row by row where nothing is said. */
  readonly layout?: BatchLayout | undefined;
  /** Told of each run that went well. */
  readonly onRun: (rows: number, times: RunTimes) => void;
  /** Told when the first dimension of the answers is no batch, so that nothing may be joined. */
  readonly onUnbatchable: () => void;
}

/** Runs a batch and gives each request its part. Never rejects: each request is told for itself. */
export async function runBatch(batch: readonly BatchEntry[], runner: BatchRunner): Promise<void> {
  const [only] = batch;
  if (batch.length === 1 && only !== undefined) return runAlone(only, runner, true);
  const failure = await runTogether(batch, runner);
  if (failure === undefined) return undefined;
  return failure.isAlone ? runEach(batch, runner) : runHalves(batch, runner);
}

/** Halves of a batch of which one request is bad: after a few runs it is alone, and all others are answered. */
async function runHalves(batch: readonly BatchEntry[], runner: BatchRunner): Promise<void> {
  const middle = Math.ceil(batch.length / 2);
  for (const half of [batch.slice(0, middle), batch.slice(middle)]) await runBatch(half, runner);
}

/** One after another, each once: a request whose process ends under it shall end no more than one more. */
async function runEach(batch: readonly BatchEntry[], runner: BatchRunner): Promise<void> {
  for (const entry of batch) await runAlone(entry, runner, false);
}

interface Failure {
  /** True when each request has to run alone now. */
  readonly isAlone: boolean;
}

async function runTogether(batch: readonly BatchEntry[], runner: BatchRunner): Promise<Failure | undefined> {
  const counts = batch.map(({ request }) => request.rows);
  const rows = counts.reduce((sum, count) => sum + count, 0);
  const startMs = performance.now();
  const tensors = batch.map(({ request }) => request.tensors);
  const inputs = runner.layout?.join(tensors) ?? joinRows(tensors);
  const joinedMs = performance.now();
  let outputs: OrtTensors;
  try {
    outputs = await runner.run(inputs);
  } catch (error) {
    if (!hasReason(error, 'ORT_TIMED_OUT')) return { isAlone: hasReason(error, 'ORT_CHILD_EXITED') };
    // In parts they would hold the slot for as long again each.
    for (const entry of batch) entry.reject(error);
    return undefined;
  }
  const ranMs = performance.now();
  const parts = partsOf(outputs, { counts, rows, tensors }, runner.layout);
  if (parts === undefined) {
    runner.onUnbatchable();
    return { isAlone: true };
  }
  const times = {
    inputMs: joinedMs - startMs,
    runMs: ranMs - joinedMs,
    outputMs: performance.now() - ranMs,
  };
  runner.onRun(rows, times);
  const batchSpan = traceBatch(batch, rows, startMs);
  for (const [index, entry] of batch.entries()) {
    entry.resolve({ outputs: parts[index] ?? {}, queueMs: startMs - entry.queuedMs, times, batchSpan });
  }
  return undefined;
}

interface Joined {
  readonly counts: readonly number[];
  readonly rows: number;
  readonly tensors: readonly OrtTensors[];
}

function partsOf(
  outputs: OrtTensors,
  { counts, rows, tensors }: Joined,
  layout: BatchLayout | undefined,
): readonly OrtTensors[] | undefined {
  if (layout !== undefined) return layout.split(outputs, counts, tensors);
  return hasRows(outputs, rows) ? splitRows(outputs, counts) : undefined;
}

async function runAlone(entry: BatchEntry, runner: BatchRunner, mayRetry: boolean): Promise<void> {
  const startMs = performance.now();
  try {
    const { tensors, rows } = entry.request;
    const { layout } = runner;
    const given = await runner.run(layout?.join([tensors]) ?? tensors);
    const outputs = layout?.split(given, [rows], [tensors])?.[0] ?? given;
    const times = { inputMs: 0, runMs: performance.now() - startMs, outputMs: 0 };
    runner.onRun(rows, times);
    entry.resolve({ outputs, queueMs: startMs - entry.queuedMs, times });
  } catch (error) {
    // The process was killed, most likely not by this request; inference changes nothing, so it may run again.
    if (mayRetry && hasReason(error, 'ORT_CHILD_EXITED')) return runAlone(entry, runner, false);
    entry.reject(error);
  }
}

function hasReason(error: unknown, reason: string): boolean {
  return isDeclaredError(error) && error.reason === reason;
}
