import path from 'node:path';
import Table from 'cli-table3';
import { CommandFailed } from '../exit-code.ts';
import { wrap } from '../error-text.ts';
import { directoriesOf } from '../plugin-folders.ts';
import { PLAIN, tableText } from '../plugin-table.ts';
import type { Terminal } from '../terminal.ts';
import type { ConfigOptions } from './config-command.ts';
import { readSettings, type ReadSettings } from './read-settings.ts';
import type { Origin, Setting } from './setting.ts';

/** One run of `lamella config …`. */
export interface ConfigRun {
  readonly options: ConfigOptions;
  readonly terminal: Terminal;
  /** Where commander found an option's value. */
  readonly originOf: (name: string) => Origin;
}

/** `lamella config print`. @throws CommandFailed when the configuration cannot be read */
export async function printConfig(run: ConfigRun): Promise<void> {
  const { settings, problems } = await read(run);
  const { terminal } = run;
  if (run.options.json === true) terminal.out(JSON.stringify(settings, undefined, 2));
  else terminal.out(settingsTable(settings));
  for (const problem of problems) terminal.err(wrap(`error: ${problem}`));
  if (problems.length > 0) throw new CommandFailed();
}

/** `lamella config check`. @throws CommandFailed when something is wrong */
export async function checkConfig(run: ConfigRun): Promise<void> {
  const { settings, problems } = await read(run);
  const { terminal } = run;
  if (run.options.json === true) {
    terminal.out(JSON.stringify({ ok: problems.length === 0, problems }, undefined, 2));
  } else if (problems.length === 0) {
    terminal.out(`In order: ${settings.length} values.`);
  }
  if (problems.length === 0) return;
  if (run.options.json !== true) for (const problem of problems) terminal.err(wrap(`error: ${problem}`));
  throw new CommandFailed();
}

async function read(run: ConfigRun): Promise<ReadSettings> {
  const own = startSettings(run);
  const home = path.resolve(String(own[0]?.value));
  const { settings, problems } = await readSettings(home, await directoriesOf(run.options.plugins));
  return { settings: [...own, ...settings], problems };
}

/** What flags and variables say; the home comes first. */
function startSettings({ options, terminal, originOf }: ConfigRun): Setting[] {
  const variable = terminal.environment['LAMELLA_HOME'];
  const { home = variable ?? '.lamella', logLevel = 'info' } = options;
  const homeOrigin = options.home === undefined && variable !== undefined ? 'environment' : originOf('home');
  return [
    { name: 'home', value: home, origin: homeOrigin },
    ...(['host', 'grpcPort', 'httpPort', 'metricsPort'] as const).map((name) => ({
      name,
      value: options[name],
      origin: originOf(name),
    })),
    { name: 'logLevel', value: logLevel, origin: originOf('logLevel') },
  ];
}

function settingsTable(settings: readonly Setting[]): string {
  const table = new Table({
    head: ['option', 'value', 'origin'],
    style: { head: [], border: [], compact: true },
    chars: PLAIN,
    colWidths: [45, 21, 14],
    wordWrap: true,
    wrapOnWordBoundary: false,
  });
  for (const { name, value, origin } of settings) {
    table.push([name, typeof value === 'string' ? value : (JSON.stringify(value) ?? ''), origin]);
  }
  return tableText(table);
}
