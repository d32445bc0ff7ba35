import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import type { DescService } from '@bufbuild/protobuf';
import type { Manifest } from '../../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { Code } from '../../../sdk/index.ts';
import { openRequests, Probe, wordsOf } from './probe.ts';
import { ContractBroken, NotApplicable, type PointName } from './report.ts';
import { Standalone } from './standalone.ts';

/** The program that the points are about. */
export interface Program {
  readonly manifest: Manifest;
  readonly directory: string;
  readonly services: readonly DescService[];
  readonly environment: NodeJS.ProcessEnv;
}

/** One point that looks at the program itself, without a kernel around it. */
export interface ProcessPoint extends PointName {
  readonly look: (standalone: Standalone, probe: Probe) => Promise<string>;
}

/** The kernel waits this long between SIGTERM and SIGKILL, in milliseconds. */
const KILL_AFTER_MS = 5_000;

/** Every point about how the program ends. Each gets a process of its own. */
export const PROCESS_POINTS: readonly ProcessPoint[] = [
  { id: 'noise', title: 'bytes on its socket that are not HTTP/2 do it no harm', look: noiseIsHarmless },
  { id: 'stdin', title: 'it exits when stdin ends, because then its kernel is gone', look: exitsWithStdin },
  { id: 'sigterm', title: 'SIGTERM lets running calls finish, and ends it', look: drainsOnSigterm },
];

/**
 * Looks at one point in a process of its own, and that nothing is left of it afterwards.
 *
 * @throws NotApplicable for a TypeScript plugin, and for one that does not start without its kernel.
 */
export async function lookAt(point: ProcessPoint, program: Program): Promise<string> {
  const { manifest, directory, environment, services } = program;
  if (manifest.entry?.command.length === 0) throw new NotApplicable("the kernel's own runner sees to it");
  const standalone = await Standalone.start(manifest, directory, environment).catch((error: unknown) => {
    throw new NotApplicable(`it does not start without its kernel: ${(error as Error).message}`);
  });
  try {
    return await point.look(standalone, new Probe(standalone.link, services));
  } finally {
    await standalone.close();
  }
}

async function noiseIsHarmless({ socketPath }: Standalone, probe: Probe): Promise<string> {
  for (const noise of [randomBytes(1_024), Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.alloc(1_024)]) {
    await new Promise<void>((resolve) => {
      const socket = connect(socketPath, () => socket.end(noise));
      socket.on('error', () => undefined);
      socket.once('close', () => resolve());
      socket.setTimeout(1_000, () => socket.destroy());
      socket.resume();
    });
  }
  const answer = await probe.ask(HEALTH_PATH);
  if (answer.code === Code.OK) return 'health was answered after random bytes, HTTP/1.1 and zeros';
  throw new ContractBroken(
    `health answers ${wordsOf(answer)} after them`,
    'Serve with a gRPC library and let it close such connections.',
  );
}

const HEALTH_PATH = '/grpc.health.v1.Health/Check';

async function exitsWithStdin(standalone: Standalone): Promise<string> {
  standalone.child.stdin?.end();
  return endOf(standalone, 'after the end of stdin', 'Read stdin in the background and exit when it ends.');
}

async function drainsOnSigterm(standalone: Standalone, probe: Probe): Promise<string> {
  const call = await terminateWhileCalled(standalone, probe);
  const ended = await endOf(
    standalone,
    'after SIGTERM',
    'Handle SIGTERM: stop the server gracefully, then exit.',
  );
  if (call.wasCut) {
    throw new ContractBroken(
      call.words,
      'On SIGTERM stop taking calls, and exit when those that run have ended (graceful stop).',
    );
  }
  if (ended.startsWith('exit code 0')) return `${ended}; ${call.words}`;
  throw new ContractBroken(
    `it ended with ${ended}`,
    'Handle SIGTERM: stop the server gracefully, then exit with code 0.',
  );
}

/** Sends SIGTERM while a call is open, lets the call end a moment later, and tells how it did. */
async function terminateWhileCalled(
  standalone: Standalone,
  probe: Probe,
): Promise<{ wasCut: boolean; words: string }> {
  const [method] = probe.openMethods;
  if (method === undefined) {
    standalone.terminate();
    return { wasCut: false, words: 'no method can be held open without knowing its messages' };
  }
  const { requests, end } = openRequests();
  const running = probe.ask(method, { requests });
  // The call has to be there before the signal is.
  await probe.ask(HEALTH_PATH);
  standalone.terminate();
  setTimeout(end, 200);
  const answer = await running;
  return {
    wasCut: answer.code === Code.UNAVAILABLE || answer.code === Code.CANCELLED,
    words: `a call of ${method.name} that ran ended with ${wordsOf(answer)}`,
  };
}

/** Waits for the end, and for all that the program started. */
async function endOf(standalone: Standalone, when: string, repair: string): Promise<string> {
  const how = await standalone.end(KILL_AFTER_MS);
  if (how === undefined) throw new ContractBroken(`it still ran ${KILL_AFTER_MS / 1_000} s ${when}`, repair);
  // A program that waits for its children is gone at the same moment.
  for (let tries = 0; tries < 50 && standalone.hasRemains; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  if (standalone.hasRemains) {
    throw new ContractBroken(
      'it left processes behind',
      'End what the plugin started before it exits itself.',
    );
  }
  return `${how} ${when}, nothing left`;
}
