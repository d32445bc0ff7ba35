import { type Document, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { RuleFileInvalid } from '../errors.ts';
import { formatDurationMs, parseDurationMs } from '../promql/duration.ts';
import { lookbackMs } from '../promql/expression.ts';
import { parseExpression } from '../promql/parse.ts';
import { positionOf, SyntaxProblem } from '../promql/syntax-problem.ts';
import type { Rule, RuleFile, RuleGroup } from './rule.ts';
import { parseTemplate, type Template } from './template.ts';

/** Largest rule file, in characters. */
const MAX_LENGTH = 262_144;
const MAX_GROUPS = 100;
const MAX_RULES = 1_000;
const MAX_LABELS = 32;
const LABEL = /^[a-zA-Z_]\w{0,99}$/;

const GROUP_FIELDS: readonly string[] = ['name', 'interval', 'limit', 'labels', 'rules'];
const RULE_FIELDS: readonly string[] = ['alert', 'expr', 'for', 'keep_firing_for', 'labels', 'annotations'];

/**
 * Reads a rule file in Prometheus's syntax.
 *
 * @param maxLookbackMs How far back rules may look, in milliseconds.
 * @throws RULE_FILE_INVALID with line and column
 */
export function parseRuleFile(name: string, text: string, maxLookbackMs: number): RuleFile {
  return new RuleFileReader(name, text, maxLookbackMs).read();
}

class RuleFileReader {
  readonly #name: string;
  readonly #text: string;
  readonly #maxLookbackMs: number;
  readonly #lines: LineCounter = new LineCounter();
  readonly #ids: Map<string, number> = new Map();

  constructor(name: string, text: string, maxLookbackMs: number) {
    this.#name = name;
    this.#text = text;
    this.#maxLookbackMs = maxLookbackMs;
  }

  read(): RuleFile {
    if (this.#text.length > MAX_LENGTH) this.#refuse(0, `the file has more than ${MAX_LENGTH} characters`);
    const document = this.#document();
    const root = this.#fields(document.contents, ['groups'], 'the file');
    const groups = this.#items(root.get('groups'), 'groups', MAX_GROUPS).map((node) => this.#group(node));
    const names = groups.map(({ name }) => name);
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice !== undefined) this.#refuse(root.get('groups'), `there are two groups named '${twice}'`);
    if (groups.flatMap(({ rules }) => rules).length > MAX_RULES) {
      this.#refuse(root.get('groups'), `there are more than ${MAX_RULES} rules`);
    }
    return { name: this.#name, text: this.#text, groups };
  }

  #document(): Document {
    const document = parseDocument(this.#text, { lineCounter: this.#lines, stringKeys: true });
    const [error] = document.errors;
    if (error !== undefined) this.#refuse(error.pos[0], error.message.replace(/ at line \d+[\s\S]*$/, ''));
    return document;
  }

  #group(node: Node): RuleGroup {
    const fields = this.#fields(node, GROUP_FIELDS, 'a group');
    const name = this.#textOf(fields.get('name'), 'name') ?? this.#refuse(node, 'a group needs a name');
    const limit = Number(this.#textOf(fields.get('limit'), 'limit') ?? '0');
    if (!Number.isSafeInteger(limit) || limit < 0)
      this.#refuse(fields.get('limit'), 'limit is a number from 0');
    const shared = this.#templates(fields.get('labels'), 'labels');
    const intervalMs = this.#durationMs(fields.get('interval'), 'interval');
    if (intervalMs === 0) this.#refuse(fields.get('interval'), 'interval is longer than 0');
    const rules = this.#items(fields.get('rules'), 'rules', MAX_RULES).map((rule) =>
      this.#rule(rule, name, shared),
    );
    return { name, intervalMs, limit, rules };
  }

  #rule(node: Node, group: string, shared: ReadonlyMap<string, Template>): Rule {
    const fields = this.#fields(node, RULE_FIELDS, 'a rule');
    const name = this.#textOf(fields.get('alert'), 'alert') ?? this.#refuse(node, 'a rule needs alert');
    const text = this.#textOf(fields.get('expr'), 'expr') ?? this.#refuse(node, 'a rule needs expr');
    const labels = this.#templates(fields.get('labels'), 'labels');
    return {
      name,
      id: this.#idOf(`${this.#name}/${group}/${name}`),
      expression: this.#expression(fields.get('expr'), text),
      text,
      forMs: this.#durationMs(fields.get('for'), 'for') ?? 0,
      keepFiringForMs: this.#durationMs(fields.get('keep_firing_for'), 'keep_firing_for') ?? 0,
      labels: new Map([...shared, ...labels]),
      annotations: this.#templates(fields.get('annotations'), 'annotations'),
    };
  }

  #idOf(base: string): string {
    const count = (this.#ids.get(base) ?? 0) + 1;
    this.#ids.set(base, count);
    return count === 1 ? base : `${base}/${count}`;
  }

  #expression(node: Node | undefined, text: string): Rule['expression'] {
    try {
      const expression = parseExpression(text);
      if (lookbackMs(expression) > this.#maxLookbackMs) {
        const kept = formatDurationMs(this.#maxLookbackMs);
        this.#refuse(
          node,
          `expr looks back further than ${kept}, for which samples are kept; raise windowMs`,
        );
      }
      return expression;
    } catch (error) {
      if (!(error instanceof SyntaxProblem)) throw error;
      const { line, column } = positionOf(text, error.index);
      const place = line === 1 ? `character ${column}` : `line ${line}, character ${column}`;
      return this.#refuse(node, `expr, ${place}: ${error.message}`);
    }
  }

  #templates(node: Node | undefined, field: string): Map<string, Template> {
    if (node === undefined) return new Map();
    if (!isMap(node)) this.#refuse(node, `${field} is a map of names to texts`);
    if (node.items.length > MAX_LABELS) this.#refuse(node, `${field} has more than ${MAX_LABELS} entries`);
    return new Map(
      node.items.map(({ key, value }) => {
        const name = String(isScalar(key) ? key.value : key);
        if (!LABEL.test(name)) this.#refuse(key as Node, `'${name.slice(0, 100)}' is no name of a label`);
        const text = this.#textOf(value as Node | undefined, name) ?? '';
        try {
          return [name, parseTemplate(text)] as const;
        } catch (error) {
          return this.#refuse(value as Node, `${name}: ${(error as Error).message}`);
        }
      }),
    );
  }

  #durationMs(node: Node | undefined, field: string): number | undefined {
    const text = this.#textOf(node, field);
    if (text === undefined) return undefined;
    return parseDurationMs(text) ?? this.#refuse(node, `${field} is a duration, for example 5m`);
  }

  #textOf(node: Node | undefined, field: string): string | undefined {
    if (node === undefined || (isScalar(node) && node.value === null)) return undefined;
    if (!isScalar(node) || typeof node.value === 'object') this.#refuse(node, `${field} is a text`);
    // As it was written: 1e3 and 007 are texts here.
    return typeof node.value === 'string' ? node.value : (node.source ?? '');
  }

  #items(node: Node | undefined, field: string, limit: number): Node[] {
    if (node === undefined) return [];
    if (isScalar(node) && node.value === null) return [];
    if (!isSeq(node)) this.#refuse(node, `${field} is a list`);
    if (node.items.length > limit) this.#refuse(node, `${field} has more than ${limit} entries`);
    return node.items as Node[];
  }

  #fields(
    node: Node | null | undefined,
    known: readonly string[],
    what: string,
  ): Map<string, Node | undefined> {
    if (!isMap(node)) this.#refuse(node, `${what} is a map with ${known.join(', ')}`);
    return new Map(
      node.items.map(({ key, value }) => {
        const name = String(isScalar(key) ? key.value : key);
        if (name === 'record')
          this.#refuse(key as Node, 'recording rules are not supported; write the expression');
        if (!known.includes(name)) {
          this.#refuse(
            key as Node,
            `${what} has no field '${name.slice(0, 100)}'; there are ${known.join(', ')}`,
          );
        }
        return [name, (value ?? undefined) as Node | undefined];
      }),
    );
  }

  #refuse(place: Node | number | null | undefined, problem: string): never {
    const index = typeof place === 'number' ? place : (place?.range?.[0] ?? 0);
    const { line, col } = this.#lines.linePos(index);
    throw new RuleFileInvalid(
      { file: this.#name, line: String(Math.max(1, line)), column: String(Math.max(1, col)), problem },
      { violations: [{ field: 'rule_file.text', description: problem }] },
    );
  }
}
