import { setImmediate } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  ChatRequestSchema,
  ChatResponseSchema,
  SayRequestSchema,
  SayResponseSchema,
} from '../../examples/echo/gen/echo/v1/echo_service_pb.ts';
import { identity } from '../support/bare-echo.ts';

/** Time each call takes where it is served, in milliseconds, so that some run at every moment. */
const DELAY_MS = 20;
const MESSAGES = 3;

/** A call that failed. */
export interface FailedCall {
  readonly code: number | undefined;
  readonly message: string;
  /** Whether the server had begun to answer, so that nobody could make the call again unnoticed. */
  readonly isBegun: boolean;
}

/** Callers with a usual gRPC client that call the echo without a pause, and count who answered. */
export class EchoLoad {
  readonly failures: FailedCall[] = [];
  readonly #answers: Map<string, number> = new Map();
  readonly #client: grpc.Client;
  readonly #callers: Promise<void>[] = [];
  #isOver = false;
  #told: (() => void)[] = [];

  constructor(address: string, options: grpc.ClientOptions = {}) {
    this.#client = new grpc.Client(address, grpc.credentials.createInsecure(), options);
  }

  /** Starts callers of Say, which may be made twice. */
  say(callers: number): this {
    return this.#start(callers, (onBegun) => this.#say(onBegun));
  }

  /** Starts callers of Chat, which may not: each sends some messages and waits for each answer. */
  chat(callers: number): this {
    return this.#start(callers, (onBegun) => this.#chat(onBegun));
  }

  #start(callers: number, call: (onBegun: () => void) => Promise<string>): this {
    for (let caller = 0; caller < callers; caller += 1) this.#callers.push(this.#repeat(call));
    return this;
  }

  async #repeat(call: (onBegun: () => void) => Promise<string>): Promise<void> {
    while (!this.#isOver) {
      let isBegun = false;
      try {
        const version = await call(() => {
          isBegun = true;
        });
        this.#answers.set(version, this.count(version) + 1);
      } catch (error) {
        const { code, message } = error as grpc.ServiceError;
        this.failures.push({ code, message, isBegun });
        await setImmediate();
      }
      for (const tell of this.#told.splice(0)) tell();
    }
  }

  async #say(onBegun: () => void): Promise<string> {
    const request = Buffer.from(toBinary(SayRequestSchema, create(SayRequestSchema, { delayMs: DELAY_MS })));
    const answer = await new Promise<Buffer>((resolve, reject) => {
      const path = '/echo.v1.EchoService/Say';
      const call = this.#client.makeUnaryRequest(path, identity, identity, request, (error, bytes) =>
        error === null ? resolve(bytes ?? Buffer.alloc(0)) : reject(error),
      );
      call.once('metadata', onBegun);
    });
    return fromBinary(SayResponseSchema, answer).version;
  }

  async #chat(onBegun: () => void): Promise<string> {
    const request = Buffer.from(toBinary(ChatRequestSchema, create(ChatRequestSchema)));
    const call = this.#client.makeBidiStreamRequest('/echo.v1.EchoService/Chat', identity, identity);
    call.once('metadata', onBegun);
    let sent = 1;
    let version = '';
    call.write(request);
    for await (const bytes of call as AsyncIterable<Buffer>) {
      ({ version } = fromBinary(ChatResponseSchema, bytes));
      if (sent === MESSAGES) call.end();
      else call.write(request);
      sent += 1;
    }
    return version;
  }

  /** Answers of a node so far. */
  count(version: string): number {
    return this.#answers.get(version) ?? 0;
  }

  /** Waits for some more answers of a node. */
  async more(version: string, answers: number): Promise<void> {
    const goal = this.count(version) + answers;
    while (this.count(version) < goal) {
      await new Promise<void>((resolve) => {
        this.#told.push(resolve);
      });
    }
  }

  /** Ends the callers after their running calls. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#callers);
    this.#client.close();
  }
}
