import type { MessageInitShape } from '@bufbuild/protobuf';
import type { CallContext } from 'lamella/sdk';
import type {
  RenderDeploymentRequest,
  RenderDeploymentResponseSchema,
} from 'lamella/proto/lamella/serving/v1/deploy_service';
import { planOf } from './plan.ts';
import type { DeployParts } from './service.ts';
import type { TargetFile } from './target.ts';

type RenderDeploymentResponse = MessageInitShape<typeof RenderDeploymentResponseSchema>;

/** The files that a target would be given, one after the other. */
export async function* renderDeployment(
  parts: DeployParts,
  request: RenderDeploymentRequest,
  context: CallContext,
): AsyncGenerator<RenderDeploymentResponse> {
  const { target, plan } = await planOf(parts, request, context);
  for await (const file of target.render(plan, context)) yield* messages(file, request.textOnly, context);
}

async function* messages(
  { path, content, isExecutable = false }: TargetFile,
  isTextOnly: boolean,
  context: CallContext,
): AsyncGenerator<RenderDeploymentResponse> {
  const isText = typeof content === 'string';
  const bytes = isText ? new TextEncoder().encode(content) : undefined;
  const sizeBytes = BigInt(isText ? (bytes?.byteLength ?? 0) : content.sizeBytes);
  yield { part: { case: 'file', value: { path, sizeBytes, isExecutable, isText } } };
  if (bytes !== undefined) yield { part: { case: 'chunk', value: bytes } };
  else if (!isText && !isTextOnly) {
    for await (const chunk of content.read(context)) yield { part: { case: 'chunk', value: chunk } };
  }
}
