import type { FeedbackService, RecordFeedbackRequest } from 'lamella/proto/lamella/app/v1/feedback_service';
import type { ServiceImplementation } from 'lamella/sdk';
import { FeedbackInvalid } from './errors.ts';
import { checkModel, type FeedbackStore } from './feedback-store.ts';
import { newestFirst } from './newest-first.ts';
import { retrain, type RetrainParts } from './retrain.ts';
import type { RunningRetrains } from './running.ts';

/** Parts of the service. */
export interface FeedbackServiceParts extends RetrainParts {
  readonly feedback: FeedbackStore;
  readonly running: RunningRetrains;
  /** Largest input tensor, in bytes. */
  readonly maxFeedbackBytes: number;
}

/** FeedbackService: record, list, retrain. */
export function createFeedbackService(
  parts: FeedbackServiceParts,
): ServiceImplementation<typeof FeedbackService> {
  const { feedback, running } = parts;
  return {
    recordFeedback: async (request) => {
      checkInput(request, parts.maxFeedbackBytes);
      return { feedback: await feedback.record(request) };
    },
    listFeedback: async ({ parent, pageSize, pageToken }) => {
      const model = parent.replace(/^models\//, '');
      if (model !== '-') checkModel(model);
      return newestFirst(feedback.list(model === '-' ? undefined : model), { pageSize, pageToken });
    },
    deleteFeedback: async ({ name }) => {
      await feedback.delete(name);
      return {};
    },
    retrain: (request, context) => {
      checkModel(request.model);
      return running.track(request, () => retrain(parts, request, context));
    },
    getRetrainStatus: async ({ model }) => {
      checkModel(model);
      return { ...running.status(model), pendingFeedback: await feedback.countPending(model) };
    },
  };
}

/** @throws FEEDBACK_INVALID */
function checkInput({ input, correct }: RecordFeedbackRequest, maxBytes: number): void {
  if (correct === '') throw new FeedbackInvalid({ problem: 'correct must hold the right label' });
  if (input === undefined || input.data.byteLength === 0) {
    throw new FeedbackInvalid({ problem: 'input must hold the tensor that was predicted on' });
  }
  if (input.data.byteLength > maxBytes) {
    throw new FeedbackInvalid({
      problem: `input has ${input.data.byteLength} bytes, the limit is ${maxBytes}`,
    });
  }
  if (input.shape.some((size) => size < 1n)) {
    throw new FeedbackInvalid({ problem: `input of shape [${input.shape.join(', ')}] has a size below 1` });
  }
  if (input.datatype !== 'UINT8') {
    throw new FeedbackInvalid({
      problem: `input has datatype '${input.datatype}', only UINT8 can be stored so far`,
    });
  }
  const elements = input.shape.reduce((product, size) => product * size, 1n);
  if (elements !== BigInt(input.data.byteLength)) {
    throw new FeedbackInvalid({
      problem: `input of shape [${input.shape.join(', ')}] needs ${elements} bytes, ${input.data.byteLength} came`,
    });
  }
}
