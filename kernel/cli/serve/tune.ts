import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { availableCores, type Measured, tuneModel, type Tuning } from '../../../sdk/ort/index.ts';
import { CommandFailed } from '../exit-code.ts';
import type { Terminal } from '../terminal.ts';
import { readInputData } from './input-data.ts';
import type { TuneCommandOptions } from './serve-command.ts';
import { readModel } from './tune-model.ts';

/** A command as it was typed. */
export interface TypedTune {
  /** What is tuned. */
  readonly place: string;
  readonly options: TuneCommandOptions;
}

/** Measures a model and writes the best setting. @throws CommandFailed ORT_… */
export async function tune(
  command: Command,
  { place, options }: TypedTune,
  terminal: Terminal,
): Promise<void> {
  const found = await readModel(place, command, terminal);
  if (found === undefined) {
    terminal.err(
      `There is no model at '${place}'; name an ONNX file, a folder with VERSION/model.onnx in it, or registry:NAME@VERSION.`,
    );
    throw new CommandFailed();
  }
  const { name, model } = found;
  const cores = options.cores ?? (await availableCores());
  terminal.err(`${name}: ${cores} cores, batches up to ${options.maxBatch}`);
  const tuning = await measured(model, { ...options, cores }, terminal);
  const result = resultOf(name, cores, tuning);
  const output = options.output ?? found.output;
  const text = JSON.stringify(result, undefined, 2);
  if (options.dryRun !== true) await writeFile(output, `${text}\n`);
  if (options.json === true) {
    terminal.out(text);
    return;
  }
  terminal.out(`best: ${lineOf(tuning.best)}`);
  terminal.out(options.dryRun === true ? 'nothing was written (--dry-run)' : `written to ${output}`);
}

async function measured(
  model: Uint8Array,
  options: TuneCommandOptions & { readonly cores: number },
  terminal: Terminal,
): Promise<Tuning> {
  try {
    return await tuneModel({
      model,
      cores: options.cores,
      maxBatchRows: options.maxBatch,
      settingMs: options.seconds * 1_000,
      latencyMs: options.latency,
      shapes: options.shape,
      data: await readInputData(options.inputData),
      onMeasured: (one, done, total) => terminal.err(`[${done}/${total}] ${lineOf(one)}`),
    });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    terminal.err(`--input-data ${options.inputData}: ${error.message}.`);
    throw new CommandFailed();
  }
}

function lineOf({ instances, threads, batchRows, rowsPerSecond, p50Ms, p99Ms }: Measured): string {
  const who = `${instances} instances, ${threads} threads, batches of ${batchRows}`;
  return `${who}: ${rowsPerSecond} rows/s, p50 ${p50Ms} ms, p99 ${p99Ms} ms`;
}

/** What is written: the setting as a model configuration has it, and what it was chosen from. */
function resultOf(model: string, cores: number, { best, curve, isBatchable }: Tuning): object {
  return {
    model,
    cores,
    config: {
      ...(isBatchable && { maxBatchSize: best.batchRows }),
      instanceGroup: [{ count: best.instances, kind: 'KIND_CPU' }],
      parameters: { intra_op_thread_count: { stringValue: String(best.threads) } },
    },
    best,
    curve,
  };
}
