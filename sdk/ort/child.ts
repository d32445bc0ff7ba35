import { readSync, writeSync } from 'node:fs';
import {
  cutFrame,
  type Frame,
  FRAME_KIND,
  jsonFrame,
  PREFIX_BYTES,
  readPrefix,
  readTensors,
  TensorFrames,
} from './frame.ts';
import {
  loadRuntime,
  type Runtime,
  type RuntimeMetadata,
  type RuntimeSession,
  type RuntimeTensor,
} from './runtime.ts';
import type { FailedReply, OpenedReply, OpenRequest } from './session-options.ts';
import { elementIndex, type OrtElementType, type OrtPort, type OrtTensor } from './tensor.ts';

// Entry point of the child process. It serves one session over file descriptor 3 and nothing else. Reads and writes are
// blocking on purpose: the process has nothing to do between runs, it saves the event loop's share of each call, and the
// end of the stream (the parent is gone) ends the process.

const CHANNEL = 3;
const KEEP_BYTES = 64 * 1024 * 1024;
const MEMORY_CHECK_MS = 1_000;

let slab: Buffer = Buffer.allocUnsafeSlow(256 * 1024);
let memoryCheckedMs = 0;
const frames: TensorFrames = new TensorFrames();

/** Reads until the slab holds `wanted` bytes; ends the process when the parent has closed the stream. */
function fill(filled: number, wanted: number): number {
  let have = filled;
  while (have < wanted) {
    const count = readSync(CHANNEL, slab, have, slab.byteLength - have, null);
    if (count === 0) process.exit(0);
    have += count;
  }
  return have;
}

/** Waits for the next request. Its parts lie in the slab, which is used again: warm memory is far cheaper than fresh. */
function readFrame(): Frame {
  if (slab.byteLength > KEEP_BYTES) slab = Buffer.allocUnsafeSlow(256 * 1024);
  const filled = fill(0, PREFIX_BYTES);
  const prefix = readPrefix(slab);
  if (prefix.totalBytes > slab.byteLength) {
    const grown = Buffer.allocUnsafeSlow(prefix.totalBytes);
    slab.copy(grown, 0, 0, filled);
    slab = grown;
  }
  if (fill(filled, prefix.totalBytes) !== prefix.totalBytes)
    throw new RangeError('Bytes after the end of a frame.');
  return cutFrame(slab, prefix);
}

/** Writes a frame. */
function writeFrame(parts: readonly Uint8Array[]): void {
  for (const part of parts) {
    for (let offset = 0; offset < part.byteLength;) offset += writeSync(CHANNEL, part, offset);
  }
}

/** Sends a failure after which the parent may go on. */
function writeFailure(stage: FailedReply['stage'], error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  writeFrame(jsonFrame(FRAME_KIND.FAILED, { stage, message } satisfies FailedReply));
}

/** Describes inputs or outputs. @throws Error for what cannot be sent as a tensor. */
function describe(metadata: readonly RuntimeMetadata[], what: string): OrtPort[] {
  return metadata.map((value) => {
    if (!value.isTensor) {
      throw new Error(
        `${what} '${value.name}' is a sequence or a map, and only tensors are supported. ` +
          'Export the model without it (for scikit-learn classifiers: zipmap=False).',
      );
    }
    if (elementIndex(value.type) === undefined) {
      throw new Error(`${what} '${value.name}' has the element type ${value.type}, which is not supported.`);
    }
    const dims = value.shape.map((dim) => (typeof dim === 'number' ? dim : -1));
    return { name: value.name, type: value.type as OrtElementType, dims };
  });
}

/** Opens the model that a frame carries; the session, or `undefined` after a failure was sent. */
async function open(runtime: Runtime, frame: Frame): Promise<RuntimeSession | undefined> {
  const request = JSON.parse(frame.head.toString()) as OpenRequest;
  try {
    const session = await runtime.InferenceSession.create(
      new Uint8Array(frame.data.subarray(0, request.modelBytes)),
      {
        intraOpNumThreads: request.intraOpThreads,
        interOpNumThreads: 1,
        graphOptimizationLevel: request.graphOptimization,
        executionProviders: [...request.executionProviders],
        // A spinning pool burns the core that serves while it waits for work.
        extra: { session: { intra_op: { allow_spinning: '0' }, inter_op: { allow_spinning: '0' } } },
        logSeverityLevel: 3,
      },
    );
    const reply: OpenedReply = {
      inputs: describe(session.inputMetadata, 'Input'),
      outputs: describe(session.outputMetadata, 'Output'),
    };
    writeFrame(jsonFrame(FRAME_KIND.OPENED, reply));
    return session;
  } catch (error) {
    writeFailure('model', error);
    return undefined;
  }
}

/** Runs the session once and sends the outputs. */
async function run(runtime: Runtime, session: RuntimeSession, frame: Frame): Promise<void> {
  try {
    const feeds: Record<string, RuntimeTensor> = {};
    for (const [name, { type, data, dims }] of Object.entries(readTensors(frame).tensors)) {
      feeds[name] = new runtime.Tensor(type, data, dims);
    }
    const results = await session.run(feeds);
    const outputs: Record<string, OrtTensor> = {};
    for (const [name, tensor] of Object.entries(results)) {
      outputs[name] = { type: tensor.type as OrtElementType, dims: tensor.dims, data: tensor.data };
    }
    writeFrame(frames.make(FRAME_KIND.RESULT, outputs, memoryBytes()));
  } catch (error) {
    writeFailure('run', error);
  }
}

/** Resident memory, looked up once a second because the look-up costs as much as a small run; 0 in between. */
function memoryBytes(): number {
  const nowMs = Date.now();
  if (nowMs - memoryCheckedMs < MEMORY_CHECK_MS) return 0;
  memoryCheckedMs = nowMs;
  return process.memoryUsage.rss();
}

/** Serves requests until the parent closes the stream. */
async function serve(): Promise<void> {
  let runtime: Runtime | undefined;
  let session: RuntimeSession | undefined;
  for (;;) {
    const frame = readFrame();
    if (runtime === undefined) {
      try {
        runtime = await loadRuntime();
      } catch (error) {
        writeFailure('runtime', error);
        continue;
      }
    }
    if (frame.kind === FRAME_KIND.OPEN) session = await open(runtime, frame);
    else if (session === undefined) writeFailure('run', new Error('No model is open.'));
    else await run(runtime, session, frame);
  }
}

await serve();
