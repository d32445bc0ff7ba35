import path from 'node:path';
import type { Command } from 'commander';
import { type ConnectOptions, connectOptions, homeOf } from './connect.ts';
import { openInstaller, showChange } from './install-commands.ts';
import { askPlugins, onePlugin, type Plugins } from './plugin-action.ts';
import type { Terminal } from './terminal.ts';

interface RollbackOptions extends ConnectOptions {
  readonly json?: true;
  readonly to?: string;
}

/**
 * `lamella plugin rollback ID`: takes the newest version out of service again. Of an installed plugin the version
 * before becomes the present one; the kernel goes back to it at once while it still holds it ready.
 */
export function addPluginRollbackCommand(plugin: Command, terminal: Terminal): void {
  const command = plugin.command('rollback').argument('<id>', 'plugin id');
  for (const option of connectOptions()) command.addOption(option);
  command
    .description('take a canary, the last upgrade or the installed version out of service again')
    .option('--to <version>', "an earlier version that is kept; 'lamella plugin installed' lists them")
    .option('--json', 'print JSON')
    .action(async (id: string, options: RollbackOptions) => {
      if (options.to === undefined && !(await isInstalledHere(id, options, terminal))) {
        await askPlugins(command, terminal, { argument: id, run: rollBack });
        return;
      }
      const { installer, isRunning } = await openInstaller(options, terminal);
      const change = await installer.rollBack(id, options.to);
      showChange(terminal, options, { change, verb: 'back', isRunning });
    });
}

async function rollBack(plugins: Plugins, id: string): Promise<ReturnType<typeof onePlugin>> {
  return onePlugin((await plugins.rollbackPlugin({ id })).plugin);
}

/** A kernel elsewhere knows nothing of the lock file in this home. */
async function isInstalledHere(id: string, options: RollbackOptions, terminal: Terminal): Promise<boolean> {
  if (options.address !== undefined || terminal.environment['LAMELLA_ADDRESS'] !== undefined) return false;
  const { readLockFile } = await import('../packaging/lock-file.ts');
  return Object.hasOwn(await readLockFile(path.resolve(homeOf(options, terminal))), id);
}
