import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from 'commander';
import { RegistryService } from '../../../proto/gen/lamella/model/v1/registry_service_pb.ts';
import { findKernel, withService } from '../connect.ts';
import { versionName } from '../deploy/run-deploy.ts';
import type { Terminal } from '../terminal.ts';

/** A model that is tuned. */
export interface TunedModel {
  /** What it is called in messages and in the result. */
  readonly name: string;
  readonly model: Uint8Array;
  /** Where the result goes when nothing else is said. */
  readonly output: string;
}

/** How registered models are named beside files. */
const REGISTRY = 'registry:';

/** Reads an ONNX file, the newest version in a folder, or `registry:NAME@VERSION`; `undefined` where no file is. */
export async function readModel(
  place: string,
  command: Command,
  terminal: Terminal,
): Promise<TunedModel | undefined> {
  if (place.startsWith(REGISTRY)) {
    const which = place.slice(REGISTRY.length);
    const model = await readRegistered(versionName(which), command, terminal);
    return { name: which, model, output: `${which.replaceAll(/[^\w.-]+/g, '-')}.tuned.json` };
  }
  const file = await modelFile(place);
  if (file === undefined) return undefined;
  const output = `${file.replace(/\.onnx$/, '')}.tuned.json`;
  return { name: path.basename(file), model: await readFile(file), output };
}

async function readRegistered(name: string, command: Command, terminal: Terminal): Promise<Uint8Array> {
  return withService(await findKernel(command, terminal), RegistryService, async (registry) => {
    const chunks: Uint8Array[] = [];
    // The registry itself checks the digest.
    for await (const { chunk } of registry.readArtifact({ name })) chunks.push(chunk);
    return Buffer.concat(chunks);
  });
}

/** The file itself, or that of the newest version in a folder. */
async function modelFile(place: string): Promise<string | undefined> {
  const facts = await stat(place).catch(() => undefined);
  if (facts?.isDirectory() !== true) return facts === undefined ? undefined : place;
  const versions = (await readdir(place)).filter((name) => /^[1-9]\d*$/.test(name)).map(Number);
  const file = path.join(place, String(Math.max(0, ...versions)), 'model.onnx');
  return (await stat(file).catch(() => undefined))?.isFile() === true ? file : undefined;
}
