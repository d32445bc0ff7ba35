import { type Command, InvalidArgumentError } from 'commander';
import { connectOptions } from '../connect.ts';
import { EXIT_HELP } from '../exit-code.ts';
import type { Terminal } from '../terminal.ts';

/** Options of `lamella serve tune` as commander gives them. */
export interface TuneCommandOptions {
  readonly maxBatch: number;
  readonly cores?: number;
  readonly seconds: number;
  readonly latency?: number;
  readonly inputData: string;
  readonly shape: Readonly<Record<string, readonly number[]>>;
  readonly output?: string;
  readonly dryRun?: true;
  readonly json?: true;
}

/** `lamella serve …`: what concerns the serving of models. */
export function addServeCommand(program: Command, terminal: Terminal): void {
  const serve = program.command('serve').description('prepare models for serving');
  const tuneCommand = serve
    .command('tune')
    .description('measure instances, threads and batches of a model here, and write the best setting')
    .argument('<model>', "ONNX file, a model's folder in Triton's layout, or registry:NAME@VERSION")
    .option('--max-batch <rows>', 'largest batch to try', wholeNumber, 64)
    .option(
      '--cores <count>',
      'processors to use (default: those that this machine or container allows)',
      wholeNumber,
    )
    .option('--seconds <seconds>', 'time for each setting', positive, 0.5)
    .option('--latency <ms>', 'take no setting whose slowest runs (p99) take longer', positive)
    .option(
      '--shape <input=sizes>',
      'sizes of an input that vary, such as ids=1x128; may be repeated',
      shapeOf,
      {},
    )
    .option('--input-data <what>', 'random, zero, or a JSON file with one row (Perf Analyzer)', 'random')
    .option('--output <file>', 'where to write (default: beside the model, with .tuned.json at the end)')
    .option('--dry-run', 'measure and print, and write nothing')
    .option('--json', 'print one JSON object, nothing else on stdout')
    .addHelpText('after', HELP);
  for (const option of connectOptions()) tuneCommand.addOption(option);
  tuneCommand.action(async (place: string, options: TuneCommandOptions) => {
    const { tune } = await import('./tune.ts');
    await tune(tuneCommand, { place, options }, terminal);
  });
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError('It must be a whole number from 1.');
  return value;
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError('It must be a number above 0.');
  return value;
}

type Shapes = Readonly<Record<string, readonly number[]>>;

function shapeOf(text: string, before: Shapes): Shapes {
  const [name = '', sizes = ''] = text.split('=');
  const dims = sizes.split('x').map(Number);
  if (name === '' || !dims.every((size) => Number.isSafeInteger(size) && size > 0))
    throw new InvalidArgumentError('It must look like ids=1x128: the name of an input and its sizes.');
  return { ...before, [name]: dims };
}

const HELP = `
Examples:
  lamella serve tune model.onnx
  lamella serve tune models/digits --latency 5 --dry-run
  lamella serve tune registry:digits@champion --output digits.json
  lamella serve tune encoder.onnx --shape ids=1x128 --shape mask=1x128 --json
Random numbers are from 0 to 1 for floats, and 0 or 1 for whole numbers. A file: {"data": [{"ids": [1, 2, 3]}]}.
The file that is written has the fields of a model configuration under "config": give it to a load as the parameter config, or copy
them to config.pbtxt.
${EXIT_HELP}`;
