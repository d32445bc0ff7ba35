import path from 'node:path';
import type { Command } from 'commander';
import { homeOf } from './connect.ts';
import { EXIT_HELP } from './exit-code.ts';
import type { Terminal } from './terminal.ts';

interface TrustOptions {
  readonly home?: string;
  readonly json?: true;
}

/** `lamella trust …`: whose plugins may run in a home folder. */
export function addTrustCommand(program: Command, terminal: Terminal): void {
  const trust = program
    .command('trust')
    .description('whose plugins may run beside those that come with Lamella');
  const change = (name: 'add' | 'remove', description: string): void => {
    trust
      .command(name)
      .description(description)
      .argument('<entry...>', "key 'ed25519:…', file of a public key, digest 'sha256:…', or plugin id")
      .option('--home <dir>', HOME_HELP)
      .option('--json', 'print JSON')
      .addHelpText('after', EXIT_HELP)
      .action(async (texts: readonly string[], options: TrustOptions) => {
        const { TrustStore, trustEntry } = await import('../packaging/trust-store.ts');
        const store = new TrustStore(path.resolve(homeOf(options, terminal)));
        const entries = await Promise.all(texts.map(trustEntry));
        const changed = name === 'add' ? await store.add(entries) : (await store.remove(entries), entries);
        if (options.json === true) terminal.out(JSON.stringify({ entries, changed }, undefined, 2));
        else
          for (const entry of entries)
            terminal.out(`${entry} is ${name === 'add' ? 'trusted' : 'not trusted any more'}.`);
      });
  };
  change('add', 'trust a key, a digest or an id; counts at once, also for a kernel that runs');
  change('remove', 'trust it no longer; what runs goes on until it is started again');
  trust
    .command('list')
    .description('show whom this home folder trusts')
    .option('--home <dir>', HOME_HELP)
    .option('--json', 'print JSON')
    .addHelpText('after', EXIT_HELP)
    .action(async (options: TrustOptions) => {
      const { TrustStore } = await import('../packaging/trust-store.ts');
      const list = await new TrustStore(path.resolve(homeOf(options, terminal))).read();
      if (options.json === true) {
        terminal.out(JSON.stringify(list, undefined, 2));
        return;
      }
      terminal.out(`mode ${list.mode}`);
      for (const entry of [...list.keys, ...list.digests, ...list.ids]) terminal.out(entry);
    });
  trust.addHelpText('after', HELP);
}

const HOME_HELP = 'home folder that trusts (default: LAMELLA_HOME or ./.lamella)';

const HELP = `
Trust a key if you know its owner: all that it signs may run. A digest is one
package exactly; an id is whatever says so of itself, signed or not.

Examples:
  lamella trust add acme.pub
  lamella trust add sha256:1f0c...
  lamella trust list --json
${EXIT_HELP}`;
