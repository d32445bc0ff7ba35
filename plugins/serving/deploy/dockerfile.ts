import { AcceleratorImageMissing } from './errors.ts';
import { CONTAINER_HOME, NODE_USER } from './kubernetes-pod.ts';
import type { Architecture } from './node-bundle.ts';
import { IMAGE_MODELS, PORTS } from './node-config.ts';
import type { DeploymentPlan } from './target.ts';

/** What an image is built on. */
export interface ImageBase {
  readonly architecture: Architecture;
  /** Empty for the default. */
  readonly baseImage: string;
}

/** Node and the C++ library, no shell, no package manager, no compiler. */
const SLIM_BASE = 'gcr.io/distroless/nodejs22-debian12:nonroot';
/** Has what `npm` needs; nothing of it is in the image but the files that ONNX Runtime downloads. */
const FETCH_BASE = 'node:22-bookworm-slim';
const RUNTIME = '/app/node_modules/onnxruntime-node';

/**
 * A Dockerfile that copies and runs nothing, so that the same files on the same base give the same layers.
 *
 * @throws ACCELERATOR_IMAGE_MISSING
 */
export function dockerfile(plan: DeploymentPlan, { architecture, baseImage }: ImageBase): string {
  const { accelerator } = plan.spec;
  const hasAccelerator = accelerator !== 'cpu';
  if (hasAccelerator && (baseImage === '' || architecture === 'arm64')) {
    throw new AcceleratorImageMissing({ accelerator });
  }
  const base = baseImage === '' ? SLIM_BASE : baseImage;
  const isPinned = base.includes('@sha256:');
  return `${[
    '# syntax=docker/dockerfile:1',
    `# ${plan.model} version ${plan.version}. Made by: lamella deploy --target docker`,
    ...(isPinned
      ? []
      : [`# Not reproducible until the base has a digest: --option baseImage=${base}@sha256:...`]),
    ...(hasAccelerator ? acceleratorStage(architecture) : []),
    `FROM ${base}`,
    'COPY --chown=0:0 app /app',
    ...(hasAccelerator ? [`COPY --from=accelerator ${RUNTIME}/bin ${RUNTIME}/bin`] : []),
    `COPY --chown=0:0 models ${IMAGE_MODELS}`,
    `COPY --chown=${NODE_USER}:${NODE_USER} home ${CONTAINER_HOME}`,
    `ENV NODE_ENV=production LAMELLA_HOME=${CONTAINER_HOME} LAMELLA_HOST=0.0.0.0 PATH=/nodejs/bin:/usr/local/bin:/usr/bin:/bin`,
    `USER ${NODE_USER}:${NODE_USER}`,
    `VOLUME ${CONTAINER_HOME}`,
    `EXPOSE ${Object.values(PORTS).join(' ')}`,
    'STOPSIGNAL SIGTERM',
    `HEALTHCHECK --interval=10s --start-period=60s CMD ["node", "-e", ${JSON.stringify(HEALTH)}]`,
    'ENTRYPOINT ["node", "/app/dist/bin/lamella.js"]',
    'CMD ["start"]',
  ].join('\n')}\n`;
}

const HEALTH = `fetch('http://127.0.0.1:${PORTS.metrics}/healthz/ready').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))`;

/** npm has ONNX Runtime for processors only; its own install script gets the rest from NuGet. */
function acceleratorStage(architecture: Architecture): string[] {
  return [
    `FROM --platform=linux/${architecture === 'x64' ? 'amd64' : 'arm64'} ${FETCH_BASE} AS accelerator`,
    'COPY app/node_modules/onnxruntime-node/package.json /tmp/onnxruntime-node.json',
    'RUN mkdir /app && cd /app && version="$(node -p "require(\'/tmp/onnxruntime-node.json\').version")" \\',
    '  && ONNXRUNTIME_NODE_INSTALL=cuda12 npm install --no-save "onnxruntime-node@$version"',
    '',
  ];
}
