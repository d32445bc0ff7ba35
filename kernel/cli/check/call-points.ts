import { randomBytes } from 'node:crypto';
import type { DescMethod } from '@bufbuild/protobuf';
import { Code } from '../../../sdk/index.ts';
import { type Answer, one, openRequests, type Probe, wordsOf } from './probe.ts';
import { ContractBroken, NotApplicable, type PointName } from './report.ts';

/** One point that calls the plugin through the kernel. */
export interface CallPoint extends PointName {
  readonly look: (probe: Probe) => Promise<string>;
}

/** Calls sent at once, more than a pool of threads has. */
const CROWD = 100;

/** Larger than the limit of 4 MiB that gRPC libraries begin with. */
const LARGE_BYTES = 8 * 1024 * 1024;

/** Every point about calls. They know nothing of the messages and send empty ones. */
export const CALL_POINTS: readonly CallPoint[] = [
  {
    id: 'methods',
    title: 'every method of the services is implemented',
    look: methodsAnswer,
  },
  { id: 'metadata', title: 'metadata that it does not know changes nothing', look: metadataIsIgnored },
  {
    id: 'large-message',
    title: `a message of ${LARGE_BYTES / 1024 / 1024} MiB is taken`,
    look: largeIsTaken,
  },
  { id: 'garbage', title: 'bytes that are no message get an error', look: garbageIsRefused },
  { id: 'crowd', title: `${CROWD} calls at once are all answered`, look: crowdIsServed },
  { id: 'deadline', title: 'a call ends at its deadline, and the plugin serves on', look: deadlineIsKept },
  { id: 'cancellation', title: 'cancelled calls free what they held', look: cancelledCallsAreFree },
];

async function methodsAnswer(probe: Probe): Promise<string> {
  const seen: string[] = [];
  for (const method of probe.methods) {
    const answer = await probe.ask(method);
    if (answer.code === Code.UNIMPLEMENTED) {
      throw new ContractBroken(
        `${nameOf(method)} answers ${wordsOf(answer)}`,
        'Implement the method, or take it out of the .proto file; is the service added to the server?',
      );
    }
    if (answer.code === 'SILENT' && method.methodKind === 'unary') {
      throw new ContractBroken(
        `${nameOf(method)} does not answer an empty message: ${answer.message}`,
        'Check the input first and refuse what is missing with INVALID_ARGUMENT.',
      );
    }
    seen.push(`${method.name} ${wordsOf(answer)}`);
  }
  return `to an empty message: ${seen.join(', ')}`;
}

/** The method that other points use, and what it says to an empty message. */
async function ordinary(probe: Probe): Promise<{ method: DescMethod; expected: Answer }> {
  const method = probe.unaryMethods[0] ?? probe.methods[0];
  if (method === undefined) throw new NotApplicable('it has no method');
  return { method, expected: await probe.ask(method) };
}

async function metadataIsIgnored(probe: Probe): Promise<string> {
  const { method, expected } = await ordinary(probe);
  const headers = new Map<string, string | Uint8Array>([
    ['x-lamella-check', 'a value'],
    ['x-lamella-check-bin', randomBytes(64)],
  ]);
  const answer = await probe.ask(method, { headers });
  if (answer.code === expected.code)
    return `${nameOf(method)} answers ${wordsOf(answer)} with and without it`;
  throw new ContractBroken(
    `${nameOf(method)} answers ${wordsOf(expected)} without it and ${wordsOf(answer)} with it`,
    'Ignore keys of the metadata that the plugin does not use.',
  );
}

async function largeIsTaken(probe: Probe): Promise<string> {
  const { method, expected } = await ordinary(probe);
  const answer = await probe.ask(method, { requests: one(paddedMessage(LARGE_BYTES)) });
  if (answer.code === expected.code)
    return `${nameOf(method)} answers as it does to a small one (the padding is an unknown field)`;
  throw new ContractBroken(
    `${nameOf(method)} answers ${wordsOf(answer)}`,
    "Raise the server's own limit of received messages; the kernel has one already (maxMessageBytes).",
  );
}

/** An empty message of any type with an unknown field of bytes, which every parser passes over. */
function paddedMessage(sizeBytes: number): Uint8Array {
  const field = 15_000;
  return Buffer.concat([varint((field << 3) | 2), varint(sizeBytes), Buffer.alloc(sizeBytes)]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return Buffer.from([...bytes, rest]);
}

async function garbageIsRefused(probe: Probe): Promise<string> {
  const { method, expected } = await ordinary(probe);
  const answer = await probe.ask(method, { requests: one(Buffer.alloc(64, 0xff)) });
  if (answer.code === Code.OK || answer.code === 'SILENT' || answer.code === Code.UNAVAILABLE) {
    throw new ContractBroken(
      `${nameOf(method)} answers ${wordsOf(answer)} to 64 bytes of 0xff`,
      'Parse requests with a protobuf library and answer INVALID_ARGUMENT when it refuses.',
    );
  }
  await stillServes(probe, { method, expected });
  return `${nameOf(method)} answers ${wordsOf(answer)} and serves on`;
}

async function crowdIsServed(probe: Probe): Promise<string> {
  const { method, expected } = await ordinary(probe);
  const answers = await Promise.all(Array.from({ length: CROWD }, () => probe.ask(method)));
  const other = answers.find(({ code }) => code !== expected.code);
  if (other === undefined) return `${nameOf(method)} answers ${wordsOf(expected)} to each`;
  throw new ContractBroken(
    `one of them ended with ${wordsOf(other)} instead of ${wordsOf(expected)}`,
    'Serve calls side by side, or set resources.concurrency in plugin.json so that the kernel holds the rest back.',
  );
}

async function deadlineIsKept(probe: Probe): Promise<string> {
  const subject = await ordinary(probe);
  const [method] = probe.openMethods;
  if (method === undefined) {
    await probe.ask(subject.method, { deadlineMs: Date.now() + 5 });
    await stillServes(probe, subject);
    return 'no method has a stream of requests that could be left open; a deadline of 5 ms did no harm';
  }
  const { requests, end } = openRequests();
  const answer = await probe.ask(method, { requests, deadlineMs: Date.now() + 200 });
  end();
  await stillServes(probe, subject);
  if (answer.code !== 'SILENT')
    return `${nameOf(method)}, left open with 200 ms, ended with ${wordsOf(answer)}`;
  throw new ContractBroken(
    `${nameOf(method)} went on after its deadline`,
    'Stop working when the call is over.',
  );
}

async function cancelledCallsAreFree(probe: Probe): Promise<string> {
  const subject = await ordinary(probe);
  const [method] = probe.openMethods;
  if (method === undefined) {
    throw new NotApplicable(
      'no method has a stream of requests, so that none can be held open without knowing its messages',
    );
  }
  const controller = new AbortController();
  const calls = Array.from({ length: CROWD }, () =>
    probe.ask(method, { requests: openRequests().requests, signal: controller.signal }),
  );
  await new Promise((resolve) => setTimeout(resolve, 100));
  controller.abort();
  await Promise.all(calls);
  await stillServes(probe, subject);
  return `${CROWD} open calls of ${nameOf(method)} were cancelled, and the next call was answered`;
}

async function stillServes(
  probe: Probe,
  { method, expected }: Awaited<ReturnType<typeof ordinary>>,
): Promise<void> {
  const answer = await probe.ask(method);
  if (answer.code === expected.code) return;
  throw new ContractBroken(
    `the next call of ${nameOf(method)} ended with ${wordsOf(answer)} instead of ${wordsOf(expected)}`,
    'Free the thread, task or lock of a call when it fails, is cancelled or passes its deadline.',
  );
}

function nameOf(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}
