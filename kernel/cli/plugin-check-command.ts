import type { Command } from 'commander';
import type { Point } from './check/report.ts';
import { wrap } from './error-text.ts';
import { CommandFailed, EXIT_HELP } from './exit-code.ts';
import type { Terminal } from './terminal.ts';

interface CheckFlags {
  readonly with?: readonly string[];
  readonly config?: string;
  readonly json?: true;
}

/** `lamella plugin check`: does a plugin, in whatever language, do what a kernel counts on? */
export function addPluginCheckCommand(plugin: Command, terminal: Terminal): void {
  plugin
    .command('check')
    .description('tell point by point whether a plugin keeps the contract')
    .argument('<dir>', 'folder that holds plugin.json')
    .option('--with <dir...>', 'plugins that provide what it requires')
    .option('--config <file>', 'config.json to check it with')
    .option('--json', 'print JSON')
    .addHelpText('after', HELP)
    .action(async (directory: string, { with: others, config, json }: CheckFlags) => {
      const { checkPlugin } = await import('./check/check-plugin.ts');
      const report = await checkPlugin({
        directory,
        with: others ?? [],
        ...(config === undefined ? {} : { configFile: config }),
        environment: terminal.environment,
        tell: (point) => {
          if (json !== true) terminal.out(textOf(point));
        },
      });
      if (json === true)
        terminal.out(JSON.stringify({ kept: report.isKept, points: report.points }, undefined, 2));
      else terminal.out(summary(report.points));
      if (!report.isKept) throw new CommandFailed();
    });
}

const MARKS: Readonly<Record<Point['outcome'], string>> = { passed: 'ok  ', failed: 'FAIL', skipped: 'skip' };

const WIDTH = 80;
const INDENT = '     ';

function textOf({ id, title, outcome, reason, repair }: Point): string {
  const below = [reason, ...(repair === '' ? [] : [`to repair: ${repair}`])];
  return [`${MARKS[outcome]} ${id}: ${title}`, ...below.map(indented)].join('\n');
}

function indented(text: string): string {
  return wrap(text, WIDTH - INDENT.length).replaceAll(/^/gm, INDENT);
}

function summary(points: readonly Point[]): string {
  const count = (wanted: Point['outcome']): number =>
    points.filter(({ outcome }) => outcome === wanted).length;
  return `${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped`;
}

const HELP = `
It starts the plugin in a kernel of its own with an empty home, calls every method
with empty messages, kills it, and starts it alone to see how it ends. Do not point
it at something whose methods do harm when they are called.

Examples:
  lamella plugin check ./word-count
  lamella plugin check ./word-count --json
  lamella plugin check ./report --with ./word-count --config ./config.json
${EXIT_HELP}`;
