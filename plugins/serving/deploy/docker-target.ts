import { defineConfig, Type } from 'lamella/sdk';
import { dockerfile } from './dockerfile.ts';
import { modelFiles } from './model-files.ts';
import { type Architecture, type BundleParts, nodeBundle } from './node-bundle.ts';
import { IMAGE_MODELS, nodeConfig } from './node-config.ts';
import type { Target } from './target.ts';

const OPTIONS = defineConfig({
  architecture: Type.Union([Type.Literal('x64'), Type.Literal('arm64')], {
    default: process.arch === 'arm64' ? 'arm64' : 'x64',
    description: 'x64 or arm64: processor that the image is for',
  }),
  baseImage: Type.String({
    pattern: '^$|^[a-zA-Z0-9][\\w.:/@-]{0,511}$',
    default: '',
    description: 'image to build on, best with its @sha256 digest; it has to have Node',
  }),
});

/** The folder that `docker build` makes an image from: a Dockerfile that only copies. */
export function dockerTarget(parts: BundleParts): Target {
  return {
    name: 'docker',
    description: 'The build context of a container image: Dockerfile, node, plugins and the model',
    options: OPTIONS,
    nextStep: 'docker build --tag IMAGE FOLDER',
    async *render(plan) {
      const architecture = plan.options['architecture'] as Architecture;
      const baseImage = String(plan.options['baseImage']);
      yield { path: 'Dockerfile', content: dockerfile(plan, { architecture, baseImage }) };
      yield { path: 'home/config.json', content: nodeConfig(plan, { models: IMAGE_MODELS, isMesh: false }) };
      yield* modelFiles(plan, 'models');
      yield* nodeBundle(parts, architecture, 'app');
    },
  };
}
