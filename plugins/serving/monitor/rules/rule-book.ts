import type { Storage } from 'lamella/sdk';
import { AlertRulesFull, MonitorRequestInvalid, RuleFileReadOnly } from '../errors.ts';
import { DEFAULT_RULE_FILE } from './default-rules.ts';
import { parseRuleFile } from './parse-rule-file.ts';
import type { RuleFile } from './rule.ts';

const NAME = /^ruleFiles\/[a-z0-9][a-z0-9_-]{0,62}$/;
const PREFIX = 'rules/';

/** Files at the most. */
const MAX_FILES = 100;

/** Name of the rules that come with the plugin. */
export const DEFAULT_FILE_NAME = 'ruleFiles/lamella';

/** What {@link RuleBook} works with. */
export interface RuleBookParts {
  readonly storage: Storage;
  readonly maxRules: number;
  /** Whether the rules that come with the plugin are evaluated, too. */
  readonly hasDefaults: boolean;
  /** How far back samples are kept, in milliseconds: a rule that looks further would never see all it needs. */
  readonly maxLookbackMs: number;
  /** Told of a stored file that cannot be read any more. */
  readonly onUnreadable: (name: string, error: unknown) => void;
}

/** The rule files: those that come with the plugin, and those that were sent and are kept. */
export class RuleBook {
  readonly #parts: RuleBookParts;
  readonly #files: Map<string, RuleFile> = new Map();

  constructor(parts: RuleBookParts) {
    this.#parts = parts;
    if (parts.hasDefaults) {
      this.#files.set(DEFAULT_FILE_NAME, this.#parse(DEFAULT_FILE_NAME, DEFAULT_RULE_FILE));
    }
  }

  /** Reads what is kept; call once before anything else. */
  async load(): Promise<void> {
    for await (const { key, value } of this.#parts.storage.range(PREFIX)) {
      const name = key.slice(PREFIX.length);
      try {
        this.#files.set(name, this.#parse(name, String(value)));
      } catch (error) {
        this.#parts.onUnreadable(name, error);
      }
    }
  }

  /** All files. */
  files(): RuleFile[] {
    return [...this.#files.values()];
  }

  /**
   * Reads a file and, unless it is only checked, keeps it in place of one of the same name.
   *
   * @throws MONITOR_REQUEST_INVALID, RULE_FILE_READ_ONLY, RULE_FILE_INVALID, ALERT_RULES_FULL
   */
  async set(name: string, text: string, isOnlyChecked: boolean): Promise<RuleFile> {
    checkName(name);
    const file = this.#parse(name, text);
    const others = this.files().filter((known) => known.name !== name);
    const { maxRules, storage } = this.#parts;
    if (others.length >= MAX_FILES) throw new AlertRulesFull({ limit: `${MAX_FILES} rule files` });
    if (countRules([...others, file]) > maxRules)
      throw new AlertRulesFull({ limit: `${maxRules} alert rules` });
    if (isOnlyChecked) return file;
    await storage.put(PREFIX + name, text);
    this.#files.set(name, file);
    return file;
  }

  /** Reads a text that is not kept. @throws RULE_FILE_INVALID */
  parse(text: string): RuleFile {
    return this.#parse('the file', text);
  }

  /** Removes a file if it is there. @throws MONITOR_REQUEST_INVALID, RULE_FILE_READ_ONLY */
  async delete(name: string): Promise<void> {
    checkName(name);
    await this.#parts.storage.delete(PREFIX + name);
    this.#files.delete(name);
  }

  #parse(name: string, text: string): RuleFile {
    return parseRuleFile(name, text, this.#parts.maxLookbackMs);
  }
}

function checkName(name: string): void {
  if (name === DEFAULT_FILE_NAME) throw new RuleFileReadOnly({ file: name });
  if (NAME.test(name)) return;
  const problem = 'it must have the form ruleFiles/{file} in small letters, digits, - and _';
  throw new MonitorRequestInvalid(
    { field: 'name', problem },
    { violations: [{ field: 'name', description: problem }] },
  );
}

function countRules(files: readonly RuleFile[]): number {
  return files.flatMap(({ groups }) => groups).flatMap(({ rules }) => rules).length;
}
