import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { DescService } from '@bufbuild/protobuf';
import type { DigitsReport } from '../../examples/digits/digits-report.ts';
import { type Prediction, predictDigit } from '../../examples/digits/predict-digit.ts';
import { runDigitsExample } from '../../examples/digits/run-digits-example.ts';
import type { Client } from '../../sdk/index.ts';
import { createClient, EncodingTransport } from '../client.ts';
import { createKernel } from '../kernel.ts';
import { LinkTransport } from '../kernel-link.ts';
import { LinkClient } from '../link/link-client.ts';
import { parseAddress } from './connect.ts';
import type { DemoOptions } from './demo-command.ts';
import { digitsTable } from './digits-table.ts';
import { bundledPlugins } from './plugin-folders.ts';
import { StageLines } from './stage-lines.ts';
import { StopSignal } from './stop-signal.ts';
import type { Terminal } from './terminal.ts';

/** Runs the example in a temporary home, lets the served model read one digit, and removes everything. */
export async function demo({ json = false, architecture }: DemoOptions, terminal: Terminal): Promise<void> {
  const started = performance.now();
  const home = await mkdtemp(path.join(tmpdir(), 'lamella-demo-'));
  const stop = new StopSignal(terminal);
  const kernel = createKernel({
    home,
    grpcPort: 0,
    httpPort: 0,
    metricsPort: 0,
    pluginDirectories: await bundledPlugins({ fromSource: false }),
    logLevel: 'warn',
  });
  try {
    const { grpc } = await kernel.start();
    const kernelReadyMs = performance.now() - started;
    const quiet: Terminal = json ? { ...terminal, isInteractive: false } : terminal;
    const lines = new StageLines(quiet, json ? terminal.err : terminal.out);
    const report = await runDigitsExample(kernel, lines, { architecture, signal: stop.signal });
    const prediction = await predictOver(grpc, report.datasetVersion);
    if (json) terminal.out(JSON.stringify(figures({ report, prediction, kernelReadyMs })));
    else terminal.out(`${digitsTable(report)}${predictionText(prediction)}`);
  } finally {
    await kernel.stop();
    stop.close();
    await rm(home, { recursive: true, force: true });
  }
}

/** The prediction goes over the public listener, as a caller's would. */
async function predictOver(address: string, datasetVersion: string): Promise<Prediction> {
  const link = await LinkClient.connect(parseAddress(address));
  const transport = new EncodingTransport(new LinkTransport(link));
  const call = <Service extends DescService>(service: Service): Client<Service> =>
    createClient(service, transport);
  try {
    return await predictDigit({ call }, datasetVersion);
  } finally {
    await link.close();
  }
}

function predictionText({ id, label, expected, probability }: Prediction): string {
  return `digit ${id}, which the model has never seen, is a ${expected}; it says ${label} (${(probability * 100).toFixed(1)} %)`;
}

interface Figures {
  readonly report: DigitsReport;
  readonly prediction: Prediction;
  readonly kernelReadyMs: number;
}

/** The JSON of `--json`; names carry their units and stay as they are. */
function figures({ report, prediction, kernelReadyMs }: Figures): unknown {
  return {
    rows: report.rows,
    holdoutRows: report.holdoutRows,
    accuracy: report.accuracy,
    samplesPerSecond: report.samplesPerSecond,
    modelSizeBytes: report.modelSizeBytes,
    modelVersion: report.modelVersion,
    datasetVersion: report.datasetVersion,
    kernelReadyMs: Math.round(kernelReadyMs),
    durationMs: Math.round(report.durationMs),
    stagesMs: Object.fromEntries(report.stages.map(({ name, durationMs }) => [name, Math.round(durationMs)])),
    prediction,
  };
}
