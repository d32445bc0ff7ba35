import { readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import semver from 'semver';
import { filesProblem } from '../../loader/program-files.ts';
import { KERNEL_VERSION } from '../../version.ts';
import type { Check } from './check.ts';
import { runProgramFile } from './run-program.ts';

const GIB = 1024 ** 3;

/** Node.js, the machine, and the programs that plugin templates need. */
export async function machineChecks(packageDirectory: string): Promise<Check[]> {
  const [node, python, go, files] = await Promise.all([
    nodeCheck(packageDirectory),
    pythonCheck(),
    programCheck('go', ['version'], 'Go plugins'),
    filesCheck(),
  ]);
  return [node, platformCheck(), python, go, files];
}

/** Whether plugins that are programs can be kept from files. */
async function filesCheck(): Promise<Check> {
  const name = 'program files';
  const problem = await filesProblem();
  if (problem === '')
    return { name, verdict: 'ok', detail: 'programs can be held to the files that they are granted' };
  const detail = `programs cannot be held to the files that they are granted: ${problem}`;
  const repair = 'install bash and util-linux, and allow user namespaces (or run in a container that does)';
  return { name, verdict: 'note', detail, repair };
}

async function nodeCheck(packageDirectory: string): Promise<Check> {
  const text = await readFile(path.join(packageDirectory, 'package.json'), 'utf8');
  const { engines } = JSON.parse(text) as { engines: { node: string } };
  const detail = `Lamella ${KERNEL_VERSION} on Node.js ${process.version}`;
  return semver.satisfies(process.version, engines.node)
    ? { name: 'node', verdict: 'ok', detail }
    : { name: 'node', verdict: 'failed', detail, repair: `install Node.js ${engines.node}` };
}

function platformCheck(): Check {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  const libc = process.platform !== 'linux' ? '' : `, ${libcName(header.glibcVersionRuntime)}`;
  const limit = Math.min(os.totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
  const detail = `${process.platform} ${process.arch}${libc}, ${os.availableParallelism()} cores, ${(limit / GIB).toFixed(1)} GiB of memory`;
  if (limit >= 1.5 * GIB) return { name: 'platform', verdict: 'ok', detail };
  return {
    name: 'platform',
    verdict: 'warning',
    detail,
    repair: 'training the digits example takes about 1 GiB; give the machine or container more',
  };
}

function libcName(glibc: string | undefined): string {
  return glibc === undefined ? 'musl libc' : `glibc ${glibc}`;
}

async function pythonCheck(): Promise<Check> {
  const check = await programCheck('python3', ['--version'], 'Python plugins');
  if (check.verdict !== 'ok') return check;
  const grpc = await runProgramFile('python3', ['-c', 'import grpc; print(grpc.__version__)']);
  if (grpc.problem === undefined) return { ...check, detail: `${check.detail}, grpcio ${grpc.out}` };
  const repair = 'pip install grpcio, in the environment of the plugin';
  return { ...check, verdict: 'note', detail: `${check.detail}, without grpcio`, repair };
}

async function programCheck(file: string, words: readonly string[], purpose: string): Promise<Check> {
  const { out, problem } = await runProgramFile(file, words);
  return problem === undefined
    ? { name: file, verdict: 'ok', detail: out }
    : { name: file, verdict: 'note', detail: `${problem}; only ${purpose} need it` };
}
