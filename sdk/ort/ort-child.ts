import { type ChildProcess, spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { programFile } from '../package-directory.ts';
import { ChildExited, ModelRejected, RunFailed, RuntimeMissing } from './errors.ts';
import { type Frame, FRAME_KIND, jsonFrame, readTensors, TensorFrames } from './frame.ts';
import { FrameReader } from './frame-reader.ts';
import type { FailedReply, OpenedReply, OpenRequest } from './session-options.ts';
import type { OrtTensors } from './tensor.ts';

const TAIL_CHARACTERS = 2_000;

interface Waiter {
  readonly resolve: (frame: Frame) => void;
  readonly reject: (error: unknown) => void;
}

/** What a run of a child gives. */
export interface ChildResult {
  /** Outputs by name. */
  readonly outputs: OrtTensors;
  /** Resident memory of the child in bytes; 0 when it was not looked up this time. */
  readonly memoryBytes: number;
}

/**
 * One child process with one session; at most one request is under way.
 *
 * @remarks A process and not a worker thread, because a run blocks its thread, cannot be stopped, and ending a worker
 * under a run aborts the whole process.
 */
export class OrtChild {
  /** Resolves with a description of how it ended. */
  readonly exited: Promise<string>;
  readonly #process: ChildProcess;
  readonly #channel: Socket;
  /** Its memory is used again: by the time of the next run, the child has read the frame of this one. */
  readonly #frames: TensorFrames = new TensorFrames();
  #waiter: Waiter | undefined;
  #end: string | undefined;
  #errorTail = '';

  constructor() {
    // Detached, so that Ctrl-C in a terminal reaches the parent only, which drains before it closes its children.
    this.#process = spawn(process.execPath, [programFile('ort-child')], {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const channel = this.#process.stdio[3];
    if (!(channel instanceof Socket)) throw new TypeError('The channel of a child process is a socket.');
    this.#channel = channel;
    const reader = new FrameReader((frame) => this.#settle((waiter) => waiter.resolve(frame)));
    channel.on('data', (chunk: Buffer) => reader.push(chunk));
    // A write to a child that just died; its exit is reported by the process.
    channel.on('error', () => undefined);
    this.#process.stderr?.on('data', (chunk: Buffer) => {
      this.#errorTail = (this.#errorTail + chunk.toString()).slice(-TAIL_CHARACTERS);
    });
    this.exited = new Promise((resolve) => {
      const finish = (how: string): void => {
        this.#end ??= how;
        this.#settle((waiter) => waiter.reject(this.#exitError(how)));
        channel.destroy();
        resolve(how);
      };
      this.#process.once('error', (error) => finish(error.message));
      this.#process.once('close', (code, signal) =>
        finish(signal === null ? `exit code ${code}` : `signal ${signal}`),
      );
    });
  }

  /** Process id, for the operating system's tools. */
  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Opens a model. @throws ORT_MODEL_REJECTED, ORT_RUNTIME_MISSING, ORT_CHILD_EXITED. */
  async open(model: Uint8Array, options: Omit<OpenRequest, 'modelBytes'>): Promise<OpenedReply> {
    const request: OpenRequest = { ...options, modelBytes: model.byteLength };
    const frame = await this.#exchange(jsonFrame(FRAME_KIND.OPEN, request, model));
    return JSON.parse(frame.head.toString()) as OpenedReply;
  }

  /** Runs the model once. @throws ORT_TENSOR_INVALID, ORT_RUN_FAILED, ORT_CHILD_EXITED. */
  async run(feeds: OrtTensors): Promise<ChildResult> {
    const frame = await this.#exchange(this.#frames.make(FRAME_KIND.RUN, feeds));
    const { tensors, extra } = readTensors(frame);
    return { outputs: tensors, memoryBytes: extra };
  }

  /** Ends the child at once, whatever it does. */
  kill(): void {
    this.#process.kill('SIGKILL');
  }

  /** Lets the child end by itself; a run that is under way is lost. */
  async close(): Promise<void> {
    this.#channel.end();
    this.#channel.destroy();
    await this.exited;
  }

  async #exchange(parts: readonly Uint8Array[]): Promise<Frame> {
    if (this.#end !== undefined) throw this.#exitError(this.#end);
    const frame = await new Promise<Frame>((resolve, reject) => {
      this.#waiter = { resolve, reject };
      if (parts.length > 1) this.#channel.cork();
      for (const part of parts) this.#channel.write(part);
      if (parts.length > 1) this.#channel.uncork();
    });
    if (frame.kind === FRAME_KIND.FAILED) throw failure(JSON.parse(frame.head.toString()) as FailedReply);
    return frame;
  }

  #settle(how: (waiter: Waiter) => void): void {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (waiter !== undefined) how(waiter);
  }

  #exitError(how: string): Error {
    return new ChildExited({ how }, this.#errorTail === '' ? {} : { cause: new Error(this.#errorTail) });
  }
}

/** The declared error for a failure that the child reported. */
function failure(reply: FailedReply): Error {
  const problem = /[.!?]$/.test(reply.message) ? reply.message : `${reply.message}.`;
  if (reply.stage === 'model') return new ModelRejected({ problem });
  return reply.stage === 'run' ? new RunFailed({ problem }) : new RuntimeMissing({ problem });
}
