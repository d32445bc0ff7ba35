import { readFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { encodeModel, finishModel, floatType, GraphBuilder } from '../../../sdk/onnx/index.ts';
import { bundledPlugins } from '../plugin-folders.ts';
import type { Check } from './check.ts';
import { runProgramFile } from './run-program.ts';

/** Packages with native code, and whether they load here. Each is tried in a process of its own: it may crash it. */
export async function nativeChecks(packageDirectory: string): Promise<Check[]> {
  const names = new Map([
    ['lmdb', 'the kernel'],
    ['onnxruntime-node', 'training and inference'],
  ]);
  for (const directory of await bundledPlugins({ fromSource: false })) {
    const text = await readFile(path.join(directory, 'plugin.json'), 'utf8');
    const { id, externals = [] } = JSON.parse(text) as { id: string; externals?: string[] };
    for (const name of externals) if (!names.has(name)) names.set(name, id);
  }
  return Promise.all([...names].map(([name, user]) => packageCheck(name, user, packageDirectory)));
}

const LOAD = `
const { createRequire } = require('node:module');
const { readFileSync } = require('node:fs');
const [name, directory] = process.argv.slice(1);
const load = createRequire(directory + '/package.json');
load(name);
const file = load.resolve.paths(name).map((folder) => folder + '/' + name + '/package.json')
  .find((candidate) => { try { readFileSync(candidate); return true; } catch { return false; } });
console.log(file === undefined ? '' : JSON.parse(readFileSync(file, 'utf8')).version);
process.exit(0);`;

async function packageCheck(name: string, user: string, directory: string): Promise<Check> {
  const { out, problem } = await runProgramFile(process.execPath, ['-e', LOAD, name, directory]);
  if (problem === undefined) return { name: `native.${name}`, verdict: 'ok', detail: `${out} loads` };
  return {
    name: `native.${name}`,
    verdict: 'failed',
    detail: `does not load, which ${user} needs: ${problem}`,
    repair: `npm install ${name}, on this machine and for this Node.js`,
  };
}

/** What ONNX Runtime can compute on. A provider counts only when it has run a model here. */
export async function acceleratorChecks(packageDirectory: string): Promise<Check[]> {
  const model = encodeModel(finishModel(doubling()));
  const listed = await runProgramFile(process.execPath, ['-e', PROVIDERS, packageDirectory]);
  const names = listed.problem === undefined ? (JSON.parse(listed.out) as string[]) : ['cpu'];
  const checks: Check[] = [];
  // One after another: two that start at once may both fail for lack of memory on the device.
  for (const name of names) checks.push(await providerCheck(name, packageDirectory, model));
  return checks;
}

const PROVIDERS = `
const load = require('node:module').createRequire(process.argv[1] + '/package.json');
console.log(JSON.stringify(load('onnxruntime-node').listSupportedBackends().map(({ name }) => name)));
process.exit(0);`;

/** The result is printed as soon as it is there: some drivers crash a process at its end. */
const RUN = `
const load = require('node:module').createRequire(process.argv[1] + '/package.json');
const { InferenceSession, Tensor } = load('onnxruntime-node');
(async () => {
  const model = require('node:fs').readFileSync(0);
  const session = await InferenceSession.create(model, { executionProviders: [process.argv[2]], logSeverityLevel: 4 });
  const answer = await session.run({ x: new Tensor('float32', Float32Array.of(21), [1]) });
  if (answer.y.data[0] !== 42) throw new Error('it computes 21 + 21 as ' + answer.y.data[0]);
  console.log('works');
  process.exit(0);
})().catch((error) => { console.error('Error: ' + error.message); process.exit(1); });`;

async function providerCheck(name: string, directory: string, model: Uint8Array): Promise<Check> {
  const { out, problem } = await runProgramFile(process.execPath, ['-e', RUN, directory, name], model);
  if (out === 'works') return { name: `onnx.${name}`, verdict: 'ok', detail: 'runs a model' };
  const detail = `not usable: ${shorten(problem ?? 'no answer')}`;
  return { name: `onnx.${name}`, verdict: name === 'cpu' ? 'failed' : 'note', detail };
}

/** The sentence in a message of ONNX Runtime, which begins with places in its source. */
function shorten(message: string): string {
  const sentence = message
    .replace(/^Error: /, '')
    .replace(/^.*(?: with error: | was false\. |\[ONNXRuntimeError\] : \d+ : \w+ : )/, '');
  return sentence.length > 200 ? `${sentence.slice(0, 200)}…` : sentence;
}

function doubling(): ReturnType<GraphBuilder['finish']> {
  const graph = new GraphBuilder();
  const x = graph.input('x', floatType([1]));
  graph.output('y', graph.apply('Add', [x, x]));
  return graph.finish('doctor');
}

/** The graphics processors that the driver knows; no driver is no finding. */
export async function gpuCheck(): Promise<Check> {
  const fields = ['--query-gpu=name,memory.total,driver_version', '--format=csv,noheader'];
  const { out, problem } = await runProgramFile('nvidia-smi', fields);
  const detail = problem === undefined ? out.split('\n').join('; ') : 'no NVIDIA driver answers';
  return { name: 'gpu', verdict: problem === undefined ? 'ok' : 'note', detail };
}
