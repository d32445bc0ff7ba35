import type { AcceleratorName } from './spec.ts';
import type { DeploymentPlan, TargetFile } from './target.ts';

/** Execution providers of Triton's configuration, in order of preference. */
const PROVIDERS: Readonly<Record<AcceleratorName, readonly string[]>> = {
  cpu: [],
  cuda: ['cuda'],
  tensorrt: ['tensorrt', 'cuda'],
};

/** The model in Triton's layout: `MODEL/config.pbtxt`, `MODEL/VERSION/model.onnx`. */
export function modelFiles({ model, version, spec, artifact }: DeploymentPlan, folder: string): TargetFile[] {
  const providers = PROVIDERS[spec.accelerator];
  const lines = [`name: "${model}"`, 'backend: "onnxruntime"', ...acceleratorLines(providers)];
  return [
    { path: `${folder}/${model}/config.pbtxt`, content: `${lines.join('\n')}\n` },
    { path: `${folder}/${model}/${version}/model.onnx`, content: artifact },
  ];
}

function acceleratorLines(providers: readonly string[]): string[] {
  if (providers.length === 0) return [];
  const list = providers.map((name) => `{ name: "${name}" }`).join(', ');
  return [
    'instance_group [{ kind: KIND_GPU, count: 1 }]',
    `optimization { execution_accelerators { gpu_execution_accelerator: [${list}] } }`,
  ];
}
