import { readFile } from 'node:fs/promises';
import { fromJson, type JsonObject, type JsonValue } from '@bufbuild/protobuf';
import type { Command } from 'commander';
import type { Client } from '../../../sdk/index.ts';
import {
  type DeployRequest,
  DeployService,
  type DeploymentSpec,
  DeploymentSpecSchema,
  DeploymentState,
} from '../../../proto/gen/lamella/serving/v1/deploy_service_pb.ts';
import { findKernel, withService } from '../connect.ts';
import { nameOf } from '../plugin-table.ts';
import type { Terminal } from '../terminal.ts';
import { changeLines, changeRows } from './change-lines.ts';
import type { DeployOptions } from './deploy-command.ts';
import { printFiles, writeFiles } from './deployment-files.ts';

/** A command as it was typed. */
export interface TypedDeploy {
  readonly model: string;
  readonly options: DeployOptions;
}

type DeployClient = Client<typeof DeployService>;
type Request = Pick<DeployRequest, 'modelVersion' | 'target'> & {
  readonly spec?: DeploymentSpec;
  readonly options: JsonObject;
};

/** Does what the options say; shows the files where they say nothing. */
export async function runDeploy(
  command: Command,
  { model, options }: TypedDeploy,
  terminal: Terminal,
): Promise<void> {
  const request: Request = {
    modelVersion: versionName(model),
    target: options.target,
    options: { ...options.option },
    ...(options.spec === undefined ? {} : { spec: await readSpecFile(options.spec) }),
  };
  await withService(await findKernel(command, terminal), DeployService, async (service) => {
    if (options.apply === true) await apply(service, request, { options, terminal });
    else if (options.diff === true) await diff(service, request, { options, terminal });
    else await render(service, request, { options, terminal });
  });
}

interface Shown {
  readonly options: DeployOptions;
  readonly terminal: Terminal;
}

async function render(service: DeployClient, request: Request, { options, terminal }: Shown): Promise<void> {
  const { output, json } = options;
  const parts = service.renderDeployment({ ...request, textOnly: output === undefined });
  if (output === undefined) return printFiles(parts, json === true, terminal);
  const written = await writeFiles(parts, output);
  if (json === true) terminal.out(JSON.stringify(written));
  else
    terminal.out(
      `${written.files} files, ${(written.sizeBytes / 1_000_000).toFixed(1)} MB, are in ${output}.`,
    );
}

async function diff(service: DeployClient, request: Request, { options, terminal }: Shown): Promise<void> {
  const { changes } = await service.diffDeployment(request);
  if (options.json === true) terminal.out(JSON.stringify(changeRows(changes), undefined, 2));
  else for (const line of changeLines(changes)) terminal.out(line);
}

async function apply(service: DeployClient, request: Request, { options, terminal }: Shown): Promise<void> {
  for await (const { deployment } of service.deploy(request)) {
    if (deployment === undefined) continue;
    const { name, modelVersion } = deployment;
    const state = nameOf(DeploymentState, deployment.state, 'DEPLOYMENT_STATE_');
    if (options.json === true) terminal.out(JSON.stringify({ name, modelVersion, state }));
    else terminal.out(`${name}  ${modelVersion}  ${state}`);
  }
}

/** `digits`, `digits@3` and `digits@canary` as resource names; a whole name stays as it is. */
export function versionName(text: string): string {
  if (text.includes('/')) return text;
  const [model = '', which = 'champion'] = text.split('@', 2);
  return `models/${model}/${which === 'latest' || /^\d+$/.test(which) ? 'versions' : 'aliases'}/${which}`;
}

async function readSpecFile(file: string): Promise<DeploymentSpec> {
  const text = await readFile(file, 'utf8');
  const { parse } = await import('yaml');
  try {
    // Aliases may grow a small file to a huge value.
    return fromJson(DeploymentSpecSchema, parse(text, { maxAliasCount: 0 }) as JsonValue);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`${file} is no spec: ${why}`, { cause });
  }
}
