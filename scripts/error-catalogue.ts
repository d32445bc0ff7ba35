import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { codeName, type ErrorDefinition } from '../sdk/index.ts';
import { ROOT } from './run-command.ts';
import { filesBelow } from './source-files.ts';

/** One declared error as the documentation shows it. */
export interface DocumentedError {
  /** Who raises it: `kernel`, `sdk` or a plugin id. */
  readonly domain: string;
  readonly reason: string;
  readonly code: string;
  /** Delay that callers are told to wait before they try again, in milliseconds. */
  readonly retryAfterMs: number | undefined;
  /** First sentence of the comment at its declaration. */
  readonly when: string;
  /** Message with `{field}` where a value stands; it says what to do. */
  readonly message: string;
}

const DECLARATION = /define(?:Kernel)?Error[<(]/g;
const DEFINING_FILES: ReadonlySet<string> = new Set(['sdk/errors.ts', 'kernel/kernel-error.ts']);

/**
 * All errors declared in `kernel/`, `sdk/` and `plugins/`, by domain and reason.
 *
 * @throws Error if a file declares an error that it does not export, since that one would go undocumented.
 */
export async function errorCatalogue(): Promise<DocumentedError[]> {
  const lists = await Promise.all(['kernel', 'sdk', 'plugins'].map((folder) => filesBelow(folder, '.ts')));
  const errors: DocumentedError[] = [];
  for (const file of lists.flat()) {
    if (!DEFINING_FILES.has(file) && !file.startsWith('sdk/templates/'))
      errors.push(...(await errorsOf(file)));
  }
  return errors.toSorted((a, b) => order(a.domain, b.domain) || order(a.reason, b.reason));
}

async function errorsOf(file: string): Promise<DocumentedError[]> {
  const source = await readFile(path.join(ROOT, file), 'utf8');
  const declared = source.match(DECLARATION)?.length ?? 0;
  if (declared === 0) return [];
  const module = (await import(
    pathToFileURL(path.join(ROOT, 'dist', file.replace(/\.ts$/, '.js'))).href
  )) as Readonly<Record<string, unknown>>;
  const errors = Object.entries(module).flatMap(([name, value]) => {
    const definition = definitionOf(value);
    if (definition === undefined || !source.includes(`const ${name}:`)) return [];
    return [
      {
        domain: domainOf(file),
        reason: definition.reason,
        code: codeName(definition.code),
        retryAfterMs: definition.retryAfterMs,
        when: commentBefore(source, name),
        message: definition.message(new Proxy({}, { get: (_target, field) => `{${String(field)}}` })),
      },
    ];
  });
  if (errors.length !== declared) {
    throw new Error(`${file} declares ${declared} errors and exports ${errors.length}; export them all.`);
  }
  return errors;
}

function definitionOf(value: unknown): ErrorDefinition | undefined {
  return typeof value === 'function' ? (value as { definition?: ErrorDefinition }).definition : undefined;
}

function domainOf(file: string): string {
  const [top = '', layer = '', box = ''] = file.split('/');
  return top === 'plugins' ? `${layer}.${box}` : top;
}

/** Text of the comment above an export, up to its first sentence end. */
function commentBefore(source: string, name: string): string {
  const before = source.slice(0, source.indexOf(`const ${name}:`));
  const comment = before.slice(before.lastIndexOf('/**') + 3, before.lastIndexOf('*/'));
  const text = comment.replaceAll(/\s*\n\s*\*?\s*/g, ' ').trim();
  return /^.*?\.(?=\s|$)/.exec(text)?.[0] ?? text;
}

/** Order by code units, the same on every machine. */
function order(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** The page `docs/errors.md`. */
export function renderErrors(errors: readonly DocumentedError[]): string {
  const domains = [...new Set(errors.map(({ domain }) => domain))];
  const sections = domains.map((domain) => {
    const rows = errors
      .filter((error) => error.domain === domain)
      .map(
        ({ reason, code, when, message }) => `| \`${reason}\` | ${code} | ${cell(when)} | ${cell(message)} |`,
      );
    return `## ${domain}\n\n| reason | status | when | message, with what to do |\n|---|---|---|---|\n${rows.join('\n')}\n`;
  });
  return `${INTRODUCTION}\n${sections.join('\n')}`;
}

function cell(text: string): string {
  return text
    .replaceAll('\\', '\\\\')
    .replaceAll('|', '\\|')
    .replaceAll('<', '&lt;')
    .replaceAll('\n', ' ')
    .trim();
}

const INTRODUCTION = `# Errors

Every error that a caller may see, by who raises it. The reason is in \`ErrorInfo.reason\` of the status details (gRPC) or in
\`error.reason\` (HTTP); compare that and never the text. \`{name}\` stands for a value, which is in \`ErrorInfo.metadata\` too.
An error that nobody declared has status INTERNAL, a fixed text and a request id under which the log has the cause.

This page is made from the sources by \`npm run fix\`; a test compares both.
`;
