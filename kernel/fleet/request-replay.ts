/** Bytes of requests kept for a repetition: of one call, and of all calls of a plugin together. */
const CALL_LIMIT_BYTES = 1024 * 1024;
const TOTAL_LIMIT_BYTES = 64 * 1024 * 1024;

/** What all calls of a plugin keep together. */
export class ReplayRoom {
  #usedBytes = 0;

  take(bytes: number): boolean {
    if (this.#usedBytes + bytes > TOTAL_LIMIT_BYTES) return false;
    this.#usedBytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes;
  }
}

/** Requests of a stream that can be read again from the start, until they are too many or nobody needs them again. */
export class RequestReplay {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #room: ReplayRoom;
  /** Undefined from the moment nothing is kept any more. */
  #kept: Uint8Array[] | undefined = [];
  #keptBytes = 0;
  #isForgotten = false;
  #isExhausted = false;
  /** A try that was given up may still wait for the next request; the one after it waits for the same. */
  #reading: Promise<IteratorResult<Uint8Array>> | undefined;

  constructor(requests: AsyncIterable<Uint8Array>, room: ReplayRoom) {
    this.#source = requests[Symbol.asyncIterator]();
    this.#room = room;
  }

  /** Whether everything that was read so far can be read again. */
  get isWhole(): boolean {
    return !this.#isForgotten;
  }

  /** The requests from the start, for one try. */
  async *requests(): AsyncGenerator<Uint8Array> {
    // Its own reference: what is no longer kept for others must still be sent by this try.
    let kept = this.#kept ?? [];
    for (let index = 0; ; index += 1) {
      const again = kept[index];
      if (again === undefined && this.#isForgotten) kept = [];
      const request = again ?? (await this.#read());
      if (request === undefined) return;
      yield request;
    }
  }

  async #read(): Promise<Uint8Array | undefined> {
    this.#reading ??= this.#next();
    const { done, value } = await this.#reading;
    return done === true ? undefined : value;
  }

  async #next(): Promise<IteratorResult<Uint8Array>> {
    const result = await this.#source.next();
    if (result.done === true) {
      // Stays, so that every try ends here.
      this.#isExhausted = true;
      return result;
    }
    this.#reading = undefined;
    this.#keep(result.value);
    return result;
  }

  #keep(request: Uint8Array): void {
    const bytes = request.byteLength;
    const isKept = this.#kept !== undefined && this.#keptBytes + bytes <= CALL_LIMIT_BYTES;
    if (isKept && this.#room.take(bytes)) {
      this.#keptBytes += bytes;
      this.#kept?.push(request);
      return;
    }
    this.forget();
  }

  /** Keeps nothing from now on: there will be no other try. */
  forget(): void {
    this.#isForgotten = true;
    this.#kept = undefined;
    this.#room.give(this.#keptBytes);
    this.#keptBytes = 0;
  }

  /** The call is over: whoever makes the requests may stop. */
  close(): void {
    this.forget();
    if (this.#isExhausted) return;
    // A source that fails while it is being stopped has nobody left to tell.
    Promise.resolve(this.#source.return?.()).catch(() => undefined);
  }
}
