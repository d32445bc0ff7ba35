import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Command } from 'commander';
import type { Change } from '../packaging/installations.ts';
import type { Installer, InstallPlan } from '../packaging/installer.ts';
import type { InstalledVersion } from '../packaging/lock-file.ts';
import { homeOf } from './connect.ts';
import { EXIT_HELP } from './exit-code.ts';
import type { Terminal } from './terminal.ts';

interface InstallOptions {
  readonly home?: string;
  readonly json?: true;
  readonly dryRun?: true;
  readonly trust?: true;
}

const HOME_HELP = 'home folder to install into (default: LAMELLA_HOME or ./.lamella)';

/** `lamella plugin install|installed|remove`: what a home folder has beside the plugins that come with Lamella. */
export function addInstallCommands(plugin: Command, terminal: Terminal): void {
  plugin
    .command('install')
    .description('install a plugin, or another version of it; a running kernel loses no call')
    .argument('<source>', 'archive, folder, or npm:NAME[@RANGE]')
    .option('--home <dir>', HOME_HELP)
    .option('--trust', 'vouch for exactly this package: put its digest on the trust list')
    .option('--dry-run', 'do everything but install, and say what would happen')
    .option('--json', 'print JSON')
    .addHelpText('after', INSTALL_HELP)
    .action(async (source: string, options: InstallOptions) => {
      const { installer, isRunning } = await openInstaller(options, terminal);
      if (options.dryRun === true) {
        const plan = await planIn(installer, source, options.trust === true);
        show(terminal, options, { row: planRow(plan), lines: planLines(plan, isRunning) });
        return;
      }
      const change = await installer.install(source, { trust: options.trust === true });
      showChange(terminal, options, { change, verb: 'installed', isRunning });
    });
  addRemove(plugin, terminal);
  addInstalled(plugin, terminal);
}

function addRemove(plugin: Command, terminal: Terminal): void {
  plugin
    .command('remove')
    .description('stop an installed plugin and delete it with all its versions')
    .argument('<id>', 'plugin id')
    .option('--home <dir>', HOME_HELP)
    .option('--dry-run', 'say what would happen')
    .option('--json', 'print JSON')
    .addHelpText('after', EXIT_HELP)
    .action(async (id: string, options: InstallOptions) => {
      const { installer } = await openInstaller(options, terminal);
      const isDry = options.dryRun === true;
      const { version } = isDry ? await installer.get(id) : await installer.remove(id);
      const text = `${id} ${version} ${isDry ? 'would be' : 'is'} removed; what it has stored stays.`;
      show(terminal, options, { row: { id, version, removed: !isDry }, lines: [text] });
    });
}

function addInstalled(plugin: Command, terminal: Terminal): void {
  plugin
    .command('installed')
    .description('list what is installed, and the versions that are kept')
    .option('--home <dir>', HOME_HELP)
    .option('--json', 'print JSON')
    .addHelpText('after', EXIT_HELP)
    .action(async (options: InstallOptions) => {
      const { Installations } = await import('../packaging/installations.ts');
      const plugins = await new Installations(path.resolve(homeOf(options, terminal))).list();
      const lines = Object.entries(plugins).map(([id, { version, source, previous }]) => {
        const kept = previous.map((one) => one.version).join(', ');
        return `${id} ${version} from ${source}${kept === '' ? '' : ` (kept: ${kept})`}`;
      });
      const text = lines.length === 0 ? ["Nothing is installed; 'lamella plugin install' does it."] : lines;
      show(terminal, options, { row: plugins, lines: text });
    });
}

/** The installer of the home folder that a command means; progress goes to stderr. */
export async function openInstaller(
  options: InstallOptions,
  terminal: Terminal,
): Promise<{ readonly installer: Installer; readonly isRunning: boolean }> {
  const home = path.resolve(homeOf(options, terminal));
  // Loaded on use: other commands need neither tar nor lmdb.
  const [{ Installer: InstallerClass }, { TrustStore }, { findHomeKernel }] = await Promise.all([
    import('../packaging/installer.ts'),
    import('../packaging/trust-store.ts'),
    import('./home-kernel.ts'),
  ]);
  const { kernel, isRunning } = await findHomeKernel(home);
  const installer = new InstallerClass({
    home,
    kernel,
    trust: new TrustStore(home),
    environment: terminal.environment,
    progress: (text) => terminal.err(`${text} ...`),
  });
  return { installer, isRunning };
}

async function planIn(installer: Installer, source: string, trust: boolean): Promise<InstallPlan> {
  const stage = await mkdtemp(path.join(tmpdir(), 'lamella-plan-'));
  try {
    return await installer.plan(source, stage, { trust });
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

function planRow({ sound, from, replaces }: InstallPlan): object {
  const { id, version } = sound.manifest;
  const { digest, signer, files, sizeBytes } = sound;
  const replaced = replaces?.version ?? null;
  return { id, version, source: from, digest, signer: signer ?? null, files, sizeBytes, replaces: replaced };
}

function planLines({ sound, replaces }: InstallPlan, isRunning: boolean): string[] {
  const { id, version } = sound.manifest;
  return [
    `${id} ${version} would be installed${replaces === undefined ? '' : ` in place of ${replaces.version}`}:`,
    `  ${sound.files} files, ${(sound.sizeBytes / 1000).toFixed(1)} kB, ${sound.digest}`,
    `  ${sound.signer === undefined ? 'not signed' : `signed by ${sound.signer}`}`,
    `  ${isRunning ? 'the running kernel would load it' : 'no kernel runs here: the next start would load it'}`,
  ];
}

interface Shown {
  readonly change: Change;
  readonly verb: string;
  readonly isRunning: boolean;
}

/** Shows what became of a plugin. */
export function showChange(
  terminal: Terminal,
  options: { readonly json?: true },
  { change, verb, isRunning }: Shown,
): void {
  const { id, installed, directory, replaced } = change;
  const { version, digest, signer, source } = installed;
  const before = otherVersion(installed, replaced);
  show(terminal, options, {
    row: { id, version, source, digest, signer, directory, replaced: before ?? null, isLoaded: isRunning },
    lines: [
      `${id} ${version} is ${verb}${before === undefined ? '' : `, in place of ${before}`}.`,
      isRunning ? 'It serves now.' : 'No kernel runs on this home; it is loaded at the next start.',
    ],
  });
}

function otherVersion(now: InstalledVersion, before: InstalledVersion | undefined): string | undefined {
  return before === undefined || before.digest === now.digest ? undefined : before.version;
}

function show(
  terminal: Terminal,
  options: { readonly json?: true },
  { row, lines }: { readonly row: object; readonly lines: readonly string[] },
): void {
  if (options.json === true) terminal.out(JSON.stringify(row, undefined, 2));
  else for (const line of lines) terminal.out(line);
}

const INSTALL_HELP = `
Nothing runs or changes before the package is checked: complete, unchanged,
and trusted by its signer's key, its digest or its id (see 'lamella trust').
When the running kernel cannot start it, everything stays as it was.

Examples:
  lamella plugin install greeter.tgz
  lamella plugin install ./greeter --trust
  lamella plugin install npm:@acme/greeter@^1 --dry-run
${EXIT_HELP}`;
