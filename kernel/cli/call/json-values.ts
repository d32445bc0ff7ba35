import { TextDecoder } from 'node:util';

/** Longest JSON value taken, in characters; a message of 64 MiB in base64 fits. */
const LENGTH_LIMIT = 128 * 1024 * 1024;

/** The data cannot be cut into JSON objects. */
export class DataMalformed extends Error {}

/**
 * Cuts a text that comes in pieces into JSON objects: one a line, or one after another in any layout.
 *
 * @remarks Each object is given out as soon as it is whole, so that a person can talk to a streaming method line by
 * line.
 * @throws DataMalformed names the character where something else than an object begins.
 */
export async function* jsonObjects(pieces: AsyncIterable<string | Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const splitter = new Splitter();
  for await (const piece of pieces) {
    yield* splitter.take(typeof piece === 'string' ? piece : decoded(decoder, piece));
  }
  yield* splitter.take(decoded(decoder));
  splitter.end();
}

/** Without a piece: what was left of the last one. @throws DataMalformed */
function decoded(decoder: TextDecoder, piece?: Uint8Array): string {
  try {
    return decoder.decode(piece, { stream: piece !== undefined });
  } catch (cause) {
    throw new DataMalformed('The data is not UTF-8; save it as UTF-8, or send bytes in base64.', { cause });
  }
}

class Splitter {
  #buffered = '';
  #position = 0;
  #depth = 0;
  #inString = false;
  #isEscaped = false;
  #startedAt = 0;
  #consumed = 0;

  *take(text: string): Generator<string> {
    this.#buffered += text;
    if (this.#buffered.length > LENGTH_LIMIT)
      throw new DataMalformed(`A JSON value is longer than ${LENGTH_LIMIT} characters.`);
    while (this.#position < this.#buffered.length) {
      const character = this.#buffered[this.#position] ?? '';
      this.#position += 1;
      if (this.#isEnd(character)) yield this.#cut();
    }
  }

  #isEnd(character: string): boolean {
    if (this.#inString) {
      if (this.#isEscaped) this.#isEscaped = false;
      else if (character === '\\') this.#isEscaped = true;
      else if (character === '"') this.#inString = false;
      return false;
    }
    return this.#structure(character);
  }

  #structure(character: string): boolean {
    if (this.#depth === 0) {
      if (/[\s,\ufeff]/.test(character)) return false;
      if (character !== '{') throw new DataMalformed(this.#unexpected(character));
      this.#startedAt = this.#position - 1;
    }
    if (character === '"') this.#inString = true;
    else if (character === '{' || character === '[') this.#depth += 1;
    else if (character === '}' || character === ']') this.#depth -= 1;
    return this.#depth === 0;
  }

  #cut(): string {
    const value = this.#buffered.slice(this.#startedAt, this.#position);
    this.#consumed += this.#position;
    this.#buffered = this.#buffered.slice(this.#position);
    this.#position = 0;
    return value;
  }

  #unexpected(character: string): string {
    const at = this.#consumed + this.#position;
    return `The data is not a JSON object: '${character}' stands at character ${at} where '{' must begin one.`;
  }

  end(): void {
    if (this.#depth > 0)
      throw new DataMalformed('The data ends within a JSON object; a closing brace is missing.');
  }
}
