import { type Command, Option } from 'commander';
import { EXIT_HELP } from './exit-code.ts';
import { LANGUAGES, type Language } from './plugin-new.ts';
import type { Terminal } from './terminal.ts';

interface NewOptions {
  readonly lang: Language;
  readonly directory?: string;
  readonly json?: true;
}

/** `lamella plugin new`: a plugin that runs at once, to change into one's own. */
export function addPluginNewCommand(plugin: Command, terminal: Terminal): void {
  plugin
    .command('new')
    .description('make a new plugin that runs at once')
    .argument('<name>', "name like 'word-count', or with a layer 'app.word-count'")
    .addOption(
      new Option('--lang <language>', 'language of the plugin').choices(LANGUAGES).default('typescript'),
    )
    .option('--directory <dir>', 'folder to make (default: the name)')
    .option('--json', 'print JSON')
    .addHelpText('after', HELP)
    .action(async (name: string, { lang, directory, json }: NewOptions) => {
      // Loaded on use: the other commands start without the parser of .proto text.
      const { newPlugin } = await import('./plugin-new.ts');
      const folder = await newPlugin({
        name,
        language: lang,
        ...(directory === undefined ? {} : { directory }),
      });
      if (json === true) terminal.out(JSON.stringify({ directory: folder, language: lang }, undefined, 2));
      else terminal.out(`${folder} is ready; ${NEXT[lang]}\n\n  lamella plugin dev ${folder}\n`);
    });
}

const NEXT: Readonly<Record<Language, string>> = {
  typescript: 'serve it, and again after each save:',
  python: 'install what its README.md says, then serve it, and again after each save:',
  go: 'run what its README.md says, then serve it, and again after each save:',
};

const HELP = `
Examples:
  lamella plugin new word-count
  lamella plugin new app.word-count --lang python
  lamella plugin new word-count --lang go --directory ./plugins/word-count
${EXIT_HELP}`;
