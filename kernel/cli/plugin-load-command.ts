import path from 'node:path';
import { type Command, Option } from 'commander';
import { IsolationLevel } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import {
  type LoadPluginResponse,
  PluginService,
} from '../../proto/gen/lamella/kernel/v1/plugin_service_pb.ts';
import { CANARY_HELP, parseCanary } from './canary-option.ts';
import { connectOptions, findKernel, withService } from './connect.ts';
import { onePlugin } from './plugin-action.ts';
import { pluginLine, pluginRow } from './plugin-table.ts';
import type { Terminal } from './terminal.ts';

const LEVELS = {
  inline: IsolationLevel.INLINE,
  worker: IsolationLevel.WORKER,
  process: IsolationLevel.PROCESS,
  remote: IsolationLevel.REMOTE,
} as const;

interface LoadOptions {
  readonly canary?: number;
  readonly isolation?: keyof typeof LEVELS;
  readonly dryRun?: true;
  readonly json?: true;
}

/** `lamella plugin load DIR`: puts a version into service, or says what that would do. */
export function addPluginLoadCommand(plugin: Command, terminal: Terminal): void {
  const command = plugin
    .command('load')
    .description('load a plugin, or upgrade it without losing a call')
    .argument('<dir>', 'folder that holds plugin.json')
    .option('--canary <percent>', CANARY_HELP, parseCanary)
    .addOption(new Option('--isolation <level>', 'level of isolation').choices(Object.keys(LEVELS)))
    .option(
      '--dry-run',
      'check everything that can be checked without running code, and say what would happen',
    )
    .option('--json', 'print JSON');
  for (const option of connectOptions()) command.addOption(option);
  command.action(async (dir: string, options: LoadOptions) => {
    const { canary = 0, isolation, dryRun = false } = options;
    const request = {
      directory: path.resolve(dir),
      canaryPercent: canary,
      validateOnly: dryRun,
      ...(isolation === undefined ? {} : { isolation: LEVELS[isolation] }),
    };
    const kernel = await findKernel(command, terminal);
    const answer = await withService(kernel, PluginService, (plugins) => plugins.loadPlugin(request));
    show(answer, terminal, options);
  });
}

function show(answer: LoadPluginResponse, terminal: Terminal, { json, dryRun }: LoadOptions): void {
  const plugin = onePlugin(answer.plugin);
  const { steps } = answer;
  if (json === true) {
    terminal.out(
      JSON.stringify(dryRun === true ? { ...pluginRow(plugin), steps } : pluginRow(plugin), undefined, 2),
    );
  } else if (dryRun === true) {
    const numbered = steps.map((step, index) => `${String(index + 1).padStart(3)}. ${step}`);
    terminal.out(['Nothing was changed. The kernel would', ...numbered].join('\n'));
  } else terminal.out(pluginLine(plugin));
}
