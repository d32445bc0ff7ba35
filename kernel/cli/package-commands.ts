import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from 'commander';
import { KeyInvalid } from '../packaging/errors.ts';
import type { Packed, PrivateKey } from '../packaging/pack.ts';
import { generateKeys } from '../packaging/signature.ts';
import { wrap } from './error-text.ts';
import { EXIT_HELP } from './exit-code.ts';
import type { Terminal } from './terminal.ts';

interface PackOptions {
  readonly out?: string;
  readonly key?: string;
  readonly json?: true;
}

/** `lamella plugin pack|sign|verify|keygen`: what an author does to give a plugin to others. */
export function addPackageCommands(plugin: Command, terminal: Terminal): void {
  plugin
    .command('pack')
    .description('make one archive of a plugin, bundled and with digests')
    .argument('<dir>', 'folder that holds plugin.json')
    .option('-o, --out <file>', 'the archive (default: <id>-<version>.lamella-plugin.tgz)')
    .option('--key <file>', 'sign it with this private key')
    .option('--json', 'print JSON')
    .addHelpText('after', PACK_HELP)
    .action(async (directory: string, options: PackOptions) => {
      // Loaded on use: other commands need neither tar nor the compiler.
      const { pack } = await import('../packaging/pack.ts');
      const packed = await pack(path.resolve(directory), {
        ...(options.out === undefined ? {} : { file: options.out }),
        ...(options.key === undefined ? {} : { key: await readKey(options.key) }),
      });
      show(terminal, { packed, verb: 'packed', options });
    });
  plugin
    .command('sign')
    .description('sign an archive, or the folder of an unpacked one')
    .argument('<file|dir>', 'what to sign')
    .requiredOption('--key <file>', "private key, see 'lamella plugin keygen'")
    .option('--json', 'print JSON')
    .addHelpText('after', EXIT_HELP)
    .action(async (target: string, options: PackOptions & { readonly key: string }) => {
      const { signPackage } = await import('../packaging/pack.ts');
      const packed = await signPackage(target, await readKey(options.key));
      show(terminal, { packed, verb: 'signed', options });
    });
  plugin
    .command('verify')
    .description('check that a package is complete, unchanged and signed')
    .argument('<file|dir>', 'an archive, or an unpacked one')
    .option('--json', 'print JSON')
    .addHelpText('after', EXIT_HELP)
    .action(async (target: string, options: PackOptions) => {
      const { openPackage } = await import('../packaging/pack.ts');
      const packed = await openPackage(target, async (_, sound) => ({ ...sound, file: target }));
      show(terminal, { packed, verb: 'sound', options });
    });
  addKeygen(plugin, terminal);
}

function addKeygen(plugin: Command, terminal: Terminal): void {
  plugin
    .command('keygen')
    .description('make a pair of keys for signing: NAME.key, to be kept secret, and NAME.pub')
    .argument('[name]', 'path without ending', 'lamella-plugin')
    .option('--json', 'print JSON')
    .addHelpText('after', EXIT_HELP)
    .action(async (name: string, options: PackOptions) => {
      const keys = generateKeys();
      const files = { private: `${name}.key`, public: `${name}.pub` };
      await writeNew(files.private, keys.privatePem, 0o600);
      await writeNew(files.public, keys.publicPem, 0o644);
      if (options.json === true) {
        terminal.out(JSON.stringify({ key: keys.name, ...files }, undefined, 2));
        return;
      }
      terminal.out(
        `${files.private} signs; keep it secret and back it up: who has it can publish in your name.`,
      );
      terminal.out(`${files.public} is for those who shall trust it: 'lamella trust add ${files.public}'`);
      terminal.out(keys.name);
    });
}

async function writeNew(file: string, text: string, mode: number): Promise<void> {
  await writeFile(file, text, { flag: 'wx', mode }).catch((cause: NodeJS.ErrnoException) => {
    const problem =
      cause.code === 'EEXIST' ? 'it exists and is not overwritten; choose another name' : cause.message;
    throw new KeyInvalid({ file, problem }, { cause });
  });
}

async function readKey(file: string): Promise<PrivateKey> {
  const pem = await readFile(file, 'utf8').catch((cause: Error) => {
    throw new KeyInvalid({ file, problem: 'it cannot be read' }, { cause });
  });
  return { pem, file };
}

interface Shown {
  readonly packed: Packed;
  readonly verb: string;
  readonly options: PackOptions;
}

function show(terminal: Terminal, { packed, verb, options }: Shown): void {
  const { manifest, file, digest, signer, files, sizeBytes } = packed;
  const { id, version } = manifest;
  if (options.json === true) {
    const row = { id, version, file, digest, signer: signer ?? null, files, sizeBytes };
    terminal.out(JSON.stringify(row, undefined, 2));
    return;
  }
  terminal.out(`${id} ${version} is ${verb}: ${file}`);
  terminal.out(`  ${files} files, ${(sizeBytes / 1000).toFixed(1)} kB`);
  terminal.out(`  ${digest}`);
  terminal.out(
    signer === undefined
      ? wrap(`  not signed; 'lamella plugin sign ${file} --key KEY' does it`)
      : `  signed by ${signer}`,
  );
}

const PACK_HELP = `
A TypeScript plugin becomes one bundle; of a program, all files are taken, or
those that plugin.json lists under "files". Folders node_modules, files whose
names begin with a dot, *.key and *.pem stay out unless they are listed.

Examples:
  lamella plugin pack ./greeter
  lamella plugin pack ./greeter -o greeter.tgz --key lamella-plugin.key
${EXIT_HELP}`;
