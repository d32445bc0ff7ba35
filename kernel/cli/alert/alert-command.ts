import { readFile } from 'node:fs/promises';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { Command } from 'commander';
import { MonitorService } from '../../../proto/gen/lamella/serving/v1/monitor_service_pb.ts';
import type { Client } from '../../../sdk/index.ts';
import { connectOptions, findKernel, withService } from '../connect.ts';
import { CommandFailed, EXIT, EXIT_HELP } from '../exit-code.ts';
import { parseLife } from '../key-command.ts';
import type { Terminal } from '../terminal.ts';
import { alertRow, alertTable, silenceRow, silenceTable } from './alert-table.ts';
import { testLines, testView } from './alert-test.ts';

/** Items in one question. */
const PAGE = 1_000;

const DEFAULT_LIFE = '1h';

type Monitor = Client<typeof MonitorService>;

interface Parts {
  readonly command: Command;
  readonly terminal: Terminal;
}

/** `lamella alert …`: the alerts of a running kernel, and who is told of them. */
export function addAlertCommand(program: Command, terminal: Terminal): void {
  const command = program.command('alert').description('list, silence and test alerts');
  addList(command, terminal);
  addSilences(command, terminal);
  addSilence(command, terminal);
  addUnsilence(command, terminal);
  addTest(command, terminal);
  command.addHelpText('after', HELP);
}

function addList(parent: Command, terminal: Terminal): void {
  const command = withOptions(parent.command('list')).description('list alerts that fire or may fire soon');
  command.action(async () => {
    const alerts = await ask({ command, terminal }, (monitor) =>
      everyPage(async (pageToken) => {
        const page = await monitor.listAlerts({ pageSize: PAGE, pageToken });
        return { items: page.alerts, nextPageToken: page.nextPageToken };
      }),
    );
    const rows = alerts.map(alertRow);
    if (isJson(command)) terminal.out(JSON.stringify(rows, undefined, 2));
    else terminal.out(rows.length === 0 ? 'no alerts' : alertTable(rows));
  });
}

function addSilences(parent: Command, terminal: Terminal): void {
  const command = withOptions(parent.command('silences')).description('list silences that hold or will hold');
  command.action(async () => {
    const silences = await ask({ command, terminal }, (monitor) =>
      everyPage(async (pageToken) => {
        const page = await monitor.listSilences({ pageSize: PAGE, pageToken });
        return { items: page.silences, nextPageToken: page.nextPageToken };
      }),
    );
    const rows = silences.map(silenceRow);
    if (isJson(command)) terminal.out(JSON.stringify(rows, undefined, 2));
    else terminal.out(rows.length === 0 ? 'no silences' : silenceTable(rows));
  });
}

function addSilence(parent: Command, terminal: Terminal): void {
  const command = withOptions(parent.command('silence'))
    .description('tell nobody of some alerts for a time')
    .argument('<alerts>', 'name of an alert, or labels: {alertname="Busy", model=~"digits.*"}')
    .option('--for <time>', 'how long: 30m, 12h, 7d', DEFAULT_LIFE)
    .option('--comment <text>', 'why', '');
  command.action(async (alerts: string) => {
    const { for: life, comment } = command.opts<{ for: string; comment: string }>();
    const lifeMs = lifeOf(command, life);
    const matchers = alerts.trimStart().startsWith('{') ? alerts : `{alertname=${JSON.stringify(alerts)}}`;
    const endTime = timestampFromMs(Date.now() + lifeMs);
    const { silence } = await ask({ command, terminal }, (monitor) =>
      monitor.createSilence({ silence: { matchers, endTime, creator: 'lamella alert', comment } }),
    );
    if (silence === undefined) throw new Error('The kernel answered without the silence.');
    const row = silenceRow(silence);
    terminal.out(isJson(command) ? JSON.stringify(row, undefined, 2) : row.name);
    terminal.err(`Nobody is told of ${matchers} until ${row.until}.`);
  });
}

function lifeOf(command: Command, text: string): number {
  try {
    const lifeMs = parseLife(text);
    if (lifeMs !== undefined) return lifeMs;
  } catch {
    // Said below, for 'never' too: whoever is silenced for ever is forgotten.
  }
  return command.error('error: --for must be a time such as 30m, 12h or 7d', { exitCode: EXIT.usage });
}

function addUnsilence(parent: Command, terminal: Terminal): void {
  const command = withOptions(parent.command('unsilence'))
    .description('end a silence')
    .argument('<silence>', "its name, as 'lamella alert silences' shows it");
  command.action(async (silence: string) => {
    const name = silence.startsWith('silences/') ? silence : `silences/${silence}`;
    await ask({ command, terminal }, async (monitor) => {
      const { silences } = await monitor.listSilences({ pageSize: PAGE });
      if (silences.every((known) => known.name !== name)) {
        terminal.err(`There is no silence '${name}'; 'lamella alert silences' lists them.`);
        throw new CommandFailed(EXIT.failure);
      }
      await monitor.deleteSilence({ name });
    });
    terminal.out(isJson(command) ? JSON.stringify({ name, state: 'ENDED' }) : `${name} has ended.`);
  });
}

function addTest(parent: Command, terminal: Terminal): void {
  const command = withOptions(parent.command('test'))
    .description('evaluate a rule file on the metrics of now: what would fire, and who would be told')
    .argument('<file>', "rules in Prometheus's syntax; nothing is kept and nobody is told");
  command.action(async (file: string) => {
    const text = await readFile(file, 'utf8');
    const { rules } = await ask({ command, terminal }, (monitor) => monitor.testRuleFile({ text }));
    if (isJson(command)) terminal.out(JSON.stringify(rules.map(testView), undefined, 2));
    else for (const line of rules.flatMap(testLines)) terminal.out(line);
    if (rules.some(({ problem }) => problem !== '')) throw new CommandFailed(EXIT.failure);
  });
}

function withOptions(command: Command): Command {
  for (const option of connectOptions()) command.addOption(option);
  return command.option('--json', 'print JSON');
}

function isJson(command: Command): boolean {
  return command.opts<{ json?: true }>().json === true;
}

async function ask<Result>(
  { command, terminal }: Parts,
  question: (monitor: Monitor) => Promise<Result>,
): Promise<Result> {
  return withService(await findKernel(command, terminal), MonitorService, question);
}

async function everyPage<Item>(
  read: (pageToken: string) => Promise<{ readonly items: readonly Item[]; readonly nextPageToken: string }>,
): Promise<Item[]> {
  const all: Item[] = [];
  let pageToken = '';
  do {
    const { items, nextPageToken } = await read(pageToken);
    all.push(...items);
    pageToken = nextPageToken;
  } while (pageToken !== '');
  return all;
}

const HELP = `
Examples:
  lamella alert list
  lamella alert silence InferenceErrorsHigh --for 2h --comment "new model"
  lamella alert silence '{model="digits", severity!="critical"}'
  lamella alert unsilence silences/7b3c…
  lamella alert test rules.yaml --json
${EXIT_HELP}`;
