import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { KernelConfigSchema } from '../kernel/config-schema.ts';
import { ROOT } from './run-command.ts';
import { filesBelow } from './source-files.ts';

/** The part of a JSON Schema that the documentation reads. */
interface OptionSchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, OptionSchema>>;
}

/** All options of one plugin, or of the kernel. */
export interface DocumentedOptions {
  readonly owner: string;
  readonly options: Readonly<Record<string, OptionSchema>>;
}

/** Options of the kernel, then of every plugin by id. */
export async function configurationCatalogue(): Promise<DocumentedOptions[]> {
  const files = await filesBelow('plugins', 'plugin.json');
  const plugins = await Promise.all(
    files.map(async (file) => {
      const text = await readFile(path.join(ROOT, file), 'utf8');
      const { id, config } = JSON.parse(text) as { id: string; config?: OptionSchema };
      return { owner: id, options: config?.properties ?? {} };
    }),
  );
  const kernel = { owner: 'kernel', options: (KernelConfigSchema as OptionSchema).properties ?? {} };
  return [kernel, ...plugins.toSorted((a, b) => (a.owner < b.owner ? -1 : 1))];
}

/** The page `docs/configuration.md`. */
export function renderConfiguration(owners: readonly DocumentedOptions[]): string {
  const sections = owners.map(({ owner, options }) => {
    const rows = optionRows(options);
    const table = `| option | type | default | meaning |\n|---|---|---|---|\n${rows.join('\n')}\n`;
    return `## ${owner}\n\n${rows.length === 0 ? 'No options.\n' : table}`;
  });
  return `${INTRODUCTION}\n${sections.join('\n')}`;
}

/** An object with fixed fields is followed by a row for each of them. */
function optionRows(options: Readonly<Record<string, OptionSchema>>, prefix = ''): string[] {
  return Object.entries(options).flatMap(([name, schema]) => [
    optionRow(`${prefix}${name}`, schema),
    ...optionRows(schema.properties ?? {}, `${prefix}${name}.`),
  ]);
}

function optionRow(name: string, schema: OptionSchema): string {
  const preset = schema.default === undefined ? '' : `\`${JSON.stringify(schema.default)}\``;
  return `| \`${name}\` | ${cell(typeOf(schema))} | ${preset} | ${cell(schema.description ?? '')} |`;
}

function typeOf({ type = 'any', enum: values, minimum, maximum }: OptionSchema): string {
  if (values !== undefined) return values.map((value) => `\`${JSON.stringify(value)}\``).join(' or ');
  if (minimum === undefined) return type;
  return maximum === undefined ? `${type}, at least ${minimum}` : `${type}, ${minimum} to ${maximum}`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ').trim();
}

const INTRODUCTION = `# Configuration

Options stand in \`config.json\` of the home folder (\`LAMELLA_HOME\`, default \`./.lamella\`): those of the kernel at the top, those of
a plugin under \`plugins.<id>.config\`. Unknown options are refused when the kernel starts. Command-line options of
\`lamella start\` are shown by \`lamella start --help\`.

This page is made from the schemas by \`npm run fix\`; a test compares both.
`;
