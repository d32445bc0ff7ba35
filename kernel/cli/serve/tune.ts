import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { availableCores, type Measured, tuneModel, type Tuning } from '../../../sdk/ort/index.ts';
import { CommandFailed } from '../exit-code.ts';
import type { Terminal } from '../terminal.ts';
import type { TuneCommandOptions } from './serve-command.ts';

/** Measures a model and writes the best setting. @throws CommandFailed ORT_… */
export async function tune(place: string, options: TuneCommandOptions, terminal: Terminal): Promise<void> {
  const file = await modelFile(place);
  if (file === undefined) {
    terminal.err(
      `There is no model at '${place}'; name an ONNX file, or a folder with VERSION/model.onnx in it.`,
    );
    throw new CommandFailed();
  }
  const cores = options.cores ?? (await availableCores());
  const model = await readFile(file);
  terminal.err(`${file}: ${cores} cores, batches up to ${options.maxBatch}`);
  const tuning = await tuneModel({
    model,
    cores,
    maxBatchRows: options.maxBatch,
    settingMs: options.seconds * 1_000,
    latencyMs: options.latency,
    shapes: options.shape,
    onMeasured: (measured, done, total) => terminal.err(`[${done}/${total}] ${lineOf(measured)}`),
  });
  const result = resultOf(file, cores, tuning);
  const output = options.output ?? `${file.replace(/\.onnx$/, '')}.tuned.json`;
  const text = JSON.stringify(result, undefined, 2);
  if (options.dryRun !== true) await writeFile(output, `${text}\n`);
  if (options.json === true) {
    terminal.out(text);
    return;
  }
  terminal.out(`best: ${lineOf(tuning.best)}`);
  terminal.out(options.dryRun === true ? 'nothing was written (--dry-run)' : `written to ${output}`);
}

function lineOf({ instances, threads, batchRows, rowsPerSecond, p50Ms, p99Ms }: Measured): string {
  const who = `${instances} instances, ${threads} threads, batches of ${batchRows}`;
  return `${who}: ${rowsPerSecond} rows/s, p50 ${p50Ms} ms, p99 ${p99Ms} ms`;
}

/** What is written: the setting as a model configuration has it, and what it was chosen from. */
function resultOf(file: string, cores: number, { best, curve, isBatchable }: Tuning): object {
  return {
    model: path.basename(file),
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

/** The file itself, or that of the newest version in a folder. */
async function modelFile(place: string): Promise<string | undefined> {
  const facts = await stat(place).catch(() => undefined);
  if (facts?.isDirectory() !== true) return facts === undefined ? undefined : place;
  const versions = (await readdir(place)).filter((name) => /^[1-9]\d*$/.test(name)).map(Number);
  const file = path.join(place, String(Math.max(0, ...versions)), 'model.onnx');
  return (await stat(file).catch(() => undefined))?.isFile() === true ? file : undefined;
}
