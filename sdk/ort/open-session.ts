import { OrtPool } from './ort-pool.ts';
import type { OrtSession, OrtSessionOptions } from './session.ts';

/**
 * Opens a model in child processes of their own.
 *
 * @throws ORT_MODEL_REJECTED for a file that is no model, has a newer IR version or opset, an operator that is not there,
 * or inputs or outputs that are no tensors; ORT_RUNTIME_MISSING when onnxruntime-node does not load; ORT_TIMED_OUT;
 * ORT_CANCELLED.
 */
export async function openSession(
  options: OrtSessionOptions,
  open: { readonly signal?: AbortSignal } = {},
): Promise<OrtSession> {
  return OrtPool.open(options, open.signal);
}
