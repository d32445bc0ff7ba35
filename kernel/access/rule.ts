/** Marks the operations of the HTTP listener: `http:POST /v2/models/digits/infer`. */
export const HTTP_PREFIX = 'http:';

/**
 * One rule of a role: `service/Method` or `http:METHOD /path`, in which `*` stands for any text; a leading `!` refuses.
 *
 * @remarks Matching walks along the text once for each part between stars, so that a long path costs no more than its
 * length; a regular expression would be exponential in the stars.
 */
export class Rule {
  readonly text: string;
  readonly isAllowing: boolean;
  readonly #parts: readonly string[];
  readonly #scope: 'any' | 'grpc' | 'http';

  constructor(text: string) {
    this.text = text;
    this.isAllowing = !text.startsWith('!');
    const pattern = this.isAllowing ? text : text.slice(1);
    this.#parts = pattern.split('*');
    if (pattern === '*') this.#scope = 'any';
    else this.#scope = pattern.startsWith(HTTP_PREFIX) ? 'http' : 'grpc';
  }

  /** Whether the rule is about this operation. Rules for services never speak of HTTP, whatever a path looks like. */
  matches(operation: string): boolean {
    if (this.#scope !== 'any' && (this.#scope === 'http') !== operation.startsWith(HTTP_PREFIX)) return false;
    const [first = '', ...rest] = this.#parts;
    if (rest.length === 0) return operation === first;
    if (!operation.startsWith(first)) return false;
    const last = rest.pop() ?? '';
    let from = first.length;
    for (const part of rest) {
      const at = operation.indexOf(part, from);
      if (at === -1) return false;
      from = at + part.length;
    }
    return operation.length - last.length >= from && operation.endsWith(last);
  }
}

/** Whether a text has the form of a rule; role names have neither slash, colon nor star. */
export function isRule(text: string): boolean {
  return /^!?(\*|[\w.*]+\/[\w*]+|http:[A-Z*]+ [/*][^\s]*|http:\*)$/.test(text) && text.length <= 256;
}
