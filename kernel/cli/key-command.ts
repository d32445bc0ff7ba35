import { timestampDate, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { type Command, InvalidArgumentError, Option } from 'commander';
import Table from 'cli-table3';
import type { ApiKey } from '../../proto/gen/lamella/kernel/v1/access_service_pb.ts';
import { connectOptions } from './connect.ts';
import { EXIT_HELP } from './exit-code.ts';
import { PLAIN, tableText } from './plugin-table.ts';
import type { Terminal } from './terminal.ts';
import { type AccessClient, withAccess } from './with-access.ts';

interface CreateOptions {
  readonly scope: readonly string[];
  /** Milliseconds from now; `undefined` means never. */
  readonly expires: number | undefined;
  readonly json?: true;
}

const UNIT_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

const DEFAULT_LIFE = '90d';

/** `lamella key …`: API keys of a kernel, running or not. */
export function addKeyCommand(program: Command, terminal: Terminal): void {
  const command = program.command('key').description('make, list and revoke API keys');
  addCreate(command, terminal);
  addList(command, terminal);
  addRevoke(command, terminal);
  command.addHelpText('after', HELP);
}

function addCreate(parent: Command, terminal: Terminal): void {
  const command = withOptions(parent.command('create'))
    .description('make a key; its text is printed once and cannot be had again')
    .argument('<name>', 'name in lists, logs and audit events')
    .addOption(
      new Option('--scope <role...>', 'roles, or rules such as inference.GRPCInferenceService/*').default([
        'user',
      ]),
    )
    .addOption(
      new Option('--expires <time>', 'life of the key: 30m, 12h, 90d, or never')
        .default(parseLife(DEFAULT_LIFE), DEFAULT_LIFE)
        .argParser(parseLife),
    );
  command.action(async (name: string) => {
    const { scope, expires, json } = command.opts<CreateOptions>();
    const expireTime = expires === undefined ? {} : { expireTime: timestampFromMs(Date.now() + expires) };
    const { key, text } = await withAccess(command, terminal, (access) =>
      access.createKey({ name, scopes: [...scope], ...expireTime }),
    );
    if (key === undefined)
      throw new Error('The kernel answered without the key; its version is another one.');
    if (json === true) {
      terminal.out(JSON.stringify({ ...row(key), text }, undefined, 2));
      return;
    }
    terminal.out(text);
    terminal.err(
      `API key '${name}' (${scope.join(', ')}), expires: ${row(key).expires}. It is shown this once.`,
    );
  });
}

function addList(parent: Command, terminal: Terminal): void {
  const command = withOptions(parent.command('list')).description('list the keys, without their texts');
  command.action(async () => {
    const rows = (await withAccess(command, terminal, listAll)).map(row);
    if (command.opts<{ json?: true }>().json === true) {
      terminal.out(JSON.stringify(rows, undefined, 2));
      return;
    }
    const table = new Table({
      head: ['NAME', 'ID', 'SCOPES', 'EXPIRES', 'LAST USE'],
      chars: PLAIN,
      style: { head: [], 'padding-left': 0 },
    });
    for (const key of rows) table.push([key.name, key.id, key.scopes.join(' '), key.expires, key.lastUse]);
    terminal.out(rows.length === 0 ? "no API keys; 'lamella key create NAME' makes one" : tableText(table));
  });
}

function addRevoke(parent: Command, terminal: Terminal): void {
  const command = withOptions(parent.command('revoke'))
    .description('refuse a key from now on')
    .argument('<name>', 'name of the key');
  command.action(async (name: string) => {
    await withAccess(command, terminal, (access) => access.revokeKey({ name }));
    const isJson = command.opts<{ json?: true }>().json === true;
    terminal.out(isJson ? JSON.stringify({ name, state: 'REVOKED' }) : `API key '${name}' is revoked.`);
  });
}

function withOptions(command: Command): Command {
  for (const option of connectOptions()) command.addOption(option);
  return command.option('--json', 'print JSON');
}

async function listAll(access: AccessClient): Promise<readonly ApiKey[]> {
  const all: ApiKey[] = [];
  let pageToken = '';
  do {
    const page = await access.listKeys({ pageSize: 1000, pageToken });
    all.push(...page.keys);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return all;
}

interface KeyRow {
  readonly name: string;
  readonly id: string;
  readonly scopes: readonly string[];
  readonly created: string;
  readonly expires: string;
  readonly lastUse: string;
}

function row({ name, id, scopes, createTime, expireTime, lastUseTime }: ApiKey): KeyRow {
  const text = (time: ApiKey['createTime']): string =>
    time === undefined ? 'never' : timestampDate(time).toISOString();
  return {
    name,
    id,
    scopes,
    created: text(createTime),
    expires: text(expireTime),
    lastUse: text(lastUseTime),
  };
}

/** Reads a life time. @throws InvalidArgumentError */
export function parseLife(text: string): number | undefined {
  if (text === 'never') return undefined;
  const match = /^(\d{1,5})([mhd])$/.exec(text);
  const lifeMs = Number(match?.[1]) * (UNIT_MS[match?.[2] ?? ''] ?? Number.NaN);
  if (!(lifeMs > 0)) throw new InvalidArgumentError('It must be a time such as 30m, 12h or 90d, or never.');
  return lifeMs;
}

const HELP = `
Examples:
  lamella key create ci --scope user --expires 90d
  lamella key create triton --scope inference.GRPCInferenceService/* --json
  lamella key list
  lamella key revoke ci

A kernel that runs is asked; without one the keys of --home are changed.
${EXIT_HELP}`;
