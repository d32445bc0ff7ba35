import path from 'node:path';
import { defineConfig, Type } from 'lamella/sdk';
import { modelFiles } from './model-files.ts';
import { type Architecture, type BundleParts, fileSource, nodeBundle } from './node-bundle.ts';
import { nodeConfig } from './node-config.ts';
import { packageClosure } from './package-closure.ts';
import { tarArchive } from './tar-archive.ts';
import type { FileSource, Target, TargetFile } from './target.ts';

const OPTIONS = defineConfig({
  architecture: Type.Union([Type.Literal('x64'), Type.Literal('arm64')], {
    default: process.arch === 'arm64' ? 'arm64' : 'x64',
    description: 'x64 or arm64: processor of the device',
  }),
  withNode: Type.Boolean({
    default: true,
    description: 'true or false: put Node.js itself into the archive',
  }),
});

/** One archive for a Linux device without anything of ours: Node, the node's program, its plugins, the model. */
export function edgeTarget(parts: BundleParts): Target {
  return {
    name: 'edge',
    description: 'One archive for a Linux device: Node.js, the plugins that inference needs and the model',
    options: OPTIONS,
    nextStep: 'tar --extract --file ARCHIVE, then NAME/run',
    async *render(plan) {
      const architecture = plan.options['architecture'] as Architecture;
      const { name } = plan.spec;
      const files: TargetFile[] = [
        { path: 'run', content: RUN, isExecutable: true },
        { path: `${name}.service`, content: unit(name) },
        { path: 'home/config.json', content: nodeConfig(plan, { models: 'models', isMesh: false }) },
        ...modelFiles(plan, 'models'),
      ];
      if (plan.options['withNode'] === true) {
        files.push({ path: 'bin/node', content: await nodeProgram(parts, architecture), isExecutable: true });
      }
      for await (const file of nodeBundle(parts, architecture, 'app')) files.push(file);
      yield { path: `${name}-${plan.version}-linux-${architecture}.tar`, content: tarArchive(files, name) };
    },
  };
}

/** The Node that runs here, or that of the npm package for the other processor. @throws PACKAGE_MISSING */
async function nodeProgram(
  { packageDirectory, extraPackages }: BundleParts,
  architecture: Architecture,
): Promise<FileSource> {
  if (process.platform === 'linux' && process.arch === architecture) return fileSource(process.execPath);
  const roots = [packageDirectory, ...(extraPackages === '' ? [] : [extraPackages])];
  const [found] = await packageClosure([`node-linux-${architecture}`], roots);
  return fileSource(path.join(found?.directory ?? '', 'bin', 'node'));
}

/** The loopback only, unless the operator says otherwise and has made a key. */
const RUN = `#!/bin/sh
# Starts the node; options are those of 'lamella start'. Another command may be named instead: ./run key create ci
set -e
cd "$(dirname "$0")"
node=./bin/node
[ -x "$node" ] || node=node
export NODE_ENV=production LAMELLA_HOME="\${LAMELLA_HOME:-./home}"
case "\${1:-start}" in
  start | -*) [ "\${1:-}" = start ] && shift; exec "$node" app/dist/bin/lamella.js start "$@" ;;
  *) exec "$node" app/dist/bin/lamella.js "$@" ;;
esac
`;

function unit(name: string): string {
  return `[Unit]
Description=Lamella node ${name}
After=network.target

[Service]
ExecStart=/opt/${name}/run
DynamicUser=yes
StateDirectory=${name}
Environment=LAMELLA_HOME=/var/lib/${name}
ExecStartPre=/bin/cp --update=none /opt/${name}/home/config.json /var/lib/${name}/config.json
KillSignal=SIGTERM
TimeoutStopSec=60
Restart=on-failure
NoNewPrivileges=yes
ProtectSystem=strict
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
`;
}
