import type { Option } from 'commander';
import { type Command } from 'commander';
import { EXIT_HELP } from './exit-code.ts';
import { pluginIds } from './plugin-ids.ts';
import type { Terminal } from './terminal.ts';

/**
 * `lamella completion …`: a script for the shell, which asks the command line itself for what may come next.
 *
 * @remarks The candidates are read from commander's own commands, so that no second list of them can grow old. The
 * libraries for it (tabtab, omelette) also edit people's shell files, which is not ours to do.
 */
export function addCompletionCommand(program: Command, terminal: Terminal): void {
  const command = program.command('completion').description('print the completion script of a shell');
  for (const [shell, script] of Object.entries(SCRIPTS)) {
    command
      .command(shell)
      .description(`for ${shell}`)
      .action(() => terminal.out(script.trim()));
  }
  command
    .command('words', { hidden: true })
    .argument('[words...]', 'the words so far, the last one unfinished')
    .action(async (words: string[]) => {
      const found = candidates(program, words);
      const all = found.length > 0 ? found : await pluginIds(program, words, terminal);
      for (const { word, text } of all) terminal.out(`${word}\t${text}`);
    });
  command.addHelpText('after', HELP);
}

/** One way to go on, with what it does. */
export interface Candidate {
  readonly word: string;
  readonly text: string;
}

/** What may stand where the last word stands. Nothing means that the shell completes files. */
export function candidates(program: Command, words: readonly string[]): readonly Candidate[] {
  const unfinished = words.at(-1) ?? '';
  let command = program;
  let before: string | undefined;
  for (const word of words.slice(0, -1)) {
    command = command.commands.find((each) => each.name() === word) ?? command;
    before = word;
  }
  const taking = before === undefined ? undefined : optionNamed(command, before);
  if (taking?.required === true) return matching(choicesOf(taking), unfinished);
  return unfinished.startsWith('-')
    ? matching(optionsOf(command), unfinished)
    : matching(commandsOf(command), unfinished);
}

function matching(all: readonly Candidate[], unfinished: string): readonly Candidate[] {
  return all.filter(({ word }) => word.startsWith(unfinished));
}

function optionNamed(command: Command, flag: string): Option | undefined {
  return command.options.find(({ long, short }) => flag === long || flag === short);
}

function choicesOf({ argChoices = [] }: Option): readonly Candidate[] {
  return argChoices.map((word) => ({ word, text: '' }));
}

function optionsOf(command: Command): readonly Candidate[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .flatMap(({ long, description }) =>
      typeof long === 'string' ? [{ word: long, text: description }] : [],
    );
}

function commandsOf(command: Command): readonly Candidate[] {
  return command
    .createHelp()
    .visibleCommands(command)
    .map((each) => ({ word: each.name(), text: each.description() }));
}

const SCRIPTS = {
  bash: `
_lamella() {
  local word
  COMPREPLY=()
  while IFS=$'\\t' read -r word _; do COMPREPLY+=("$word"); done < <(
    lamella completion words -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null
  )
}
complete -o default -F _lamella lamella
`,
  zsh: `
#compdef lamella
_lamella() {
  local -a found
  local word text
  while IFS=$'\\t' read -r word text; do found+=("\${word//:/\\\\:}:$text"); done < <(
    lamella completion words -- "\${(@)words[2,CURRENT]}" 2>/dev/null
  )
  if (( \${#found} )); then _describe lamella found; else _files; fi
}
compdef _lamella lamella
`,
  fish: `
complete -c lamella -a '(lamella completion words -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
`,
} as const;

const HELP = `
Examples:
  lamella completion bash >> ~/.bashrc
  lamella completion zsh > "\${fpath[1]}/_lamella"
  lamella completion fish > ~/.config/fish/completions/lamella.fish
${EXIT_HELP}`;
