import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { IsolationLevel } from '../../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import type { Manifest } from '../../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { readConfig } from '../../config.ts';
import { readManifest } from '../../registry/manifest.ts';
import { validateConfig } from '../../registry/plugin-config.ts';
import { nearestName } from '../../registry/nearest-name.ts';
import { isObject, type Setting, settingsOf } from './setting.ts';

/** All that is wrong, one sentence each, and what could be read in spite of it. */
export interface ReadSettings {
  readonly settings: readonly Setting[];
  readonly problems: readonly string[];
}

/** Reads `config.json` of a home and the manifests of the plugins, and checks the one against the others. */
export async function readSettings(
  home: string,
  pluginDirectories: readonly string[],
): Promise<ReadSettings> {
  const problems: string[] = [];
  const config = await attempt(readConfig(home), problems);
  if (config === undefined) return { settings: [], problems };
  const written = await writtenConfig(home);
  const { plugins, ...kernel } = config;
  const settings = settingsOf('', kernel, written).filter(({ value }) => !isObject(value));
  const known: string[] = [];
  for (const directory of pluginDirectories) {
    const manifest = await attempt(readManifest(directory), problems);
    if (manifest === undefined) continue;
    known.push(manifest.id);
    settings.push(...pluginSettings(manifest, plugins[manifest.id] ?? {}, problems));
  }
  for (const id of Object.keys(plugins)) {
    if (!known.includes(id)) problems.push(unknownPlugin(id, known));
  }
  return { settings, problems };
}

type PluginSettings = Awaited<ReturnType<typeof readConfig>>['plugins'][string];

function pluginSettings(manifest: Manifest, given: PluginSettings, problems: string[]): Setting[] {
  const prefix = `plugins.${manifest.id}`;
  const preferred = manifest.isolation?.preferred ?? IsolationLevel.PROCESS;
  const { config, isolation, ...others } = given;
  const filled = Object.assign({ isolation: levelName(preferred) }, given);
  problems.push(...isolationProblems(manifest, isolation));
  const found = settingsOf(prefix, { isolation: filled.isolation, ...others }, given);
  try {
    const options = settingsOf(`${prefix}.config`, validateConfig(manifest, config), config);
    found.push(...options.filter(({ value }) => !isObject(value)));
  } catch (error) {
    problems.push((error as Error).message);
  }
  return found;
}

function isolationProblems(manifest: Manifest, chosen: string | undefined): string[] {
  if (chosen === undefined) return [];
  const { preferred = IsolationLevel.PROCESS, allowed = [] } = manifest.isolation ?? {};
  const names = [...new Set([preferred, ...allowed])].map(levelName);
  if (names.includes(chosen)) return [];
  return [`plugins.${manifest.id}.isolation is ${chosen}; the plugin allows ${names.join(', ')}.`];
}

function levelName(level: IsolationLevel): string {
  return Object.entries(IsolationLevel).find(([, value]) => value === level)?.[0] ?? String(level);
}

function unknownPlugin(id: string, known: readonly string[]): string {
  const near = nearestName(id, known);
  return `plugins.${id} names no plugin that would be loaded${near === undefined ? '' : `; perhaps '${near}' is meant`}.`;
}

async function attempt<Value>(work: Promise<Value>, problems: string[]): Promise<Value | undefined> {
  try {
    return await work;
  } catch (error) {
    problems.push((error as Error).message);
    return undefined;
  }
}

async function writtenConfig(home: string): Promise<unknown> {
  // readConfig has read the same file: it is there and valid, or absent.
  const text = await readFile(path.join(home, 'config.json'), 'utf8').catch(() => '{}');
  return JSON.parse(text);
}
