import type {
  FeedbackService,
  RecordFeedbackRequest,
} from 'lamella/proto/lamella/app/v1/feedback_service';
import type { ServiceImplementation } from 'lamella/sdk';
import { FeedbackInvalid } from './errors.ts';
import type { FeedbackStore } from './feedback-store.ts';
import { retrain, type RetrainParts } from './retrain.ts';
import type { RunningRetrains } from './running.ts';

/** Parts of the service. */
export interface FeedbackServiceParts extends RetrainParts {
  readonly feedback: FeedbackStore;
  readonly running: RunningRetrains;
  /** Largest input tensor, in bytes. */
  readonly maxFeedbackBytes: number;
}

const DEFAULT_PAGE_SIZE = 100;
const MAX_PAGE_SIZE = 1_000;

/** FeedbackService: record, list, retrain. */
export function createFeedbackService(parts: FeedbackServiceParts): ServiceImplementation<typeof FeedbackService> {
  const { feedback, running } = parts;
  return {
    recordFeedback: async (request) => {
      checkInput(request, parts.maxFeedbackBytes);
      return { feedback: await feedback.record(request) };
    },
    listFeedback: async ({ parent, pageSize, pageToken }) => {
      const size = pageSize <= 0 ? DEFAULT_PAGE_SIZE : Math.min(pageSize, MAX_PAGE_SIZE);
      const page = [];
      let isPast = pageToken === '';
      for await (const item of feedback.list(parent.replace(/^models\//, ''))) {
        if (isPast) page.push(item);
        if (item.name === pageToken) isPast = true;
        if (page.length > size) break;
      }
      const items = page.slice(0, size);
      return { feedback: items, nextPageToken: page.length > size ? (items.at(-1)?.name ?? '') : '' };
    },
    deleteFeedback: async ({ name }) => {
      await feedback.delete(name);
      return {};
    },
    retrain: (request, context) => running.track(request.model, retrain(parts, request, context)),
    getRetrainStatus: async ({ model }) => {
      let pending = 0n;
      for await (const _item of feedback.list(model)) pending += 1n;
      return { ...running.status(model), pendingFeedback: pending };
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
    throw new FeedbackInvalid({ problem: `input has ${input.data.byteLength} bytes, the limit is ${maxBytes}` });
  }
  if (input.datatype !== 'UINT8') {
    throw new FeedbackInvalid({ problem: `input has datatype '${input.datatype}', only UINT8 can be stored so far` });
  }
  const elements = input.shape.reduce((product, size) => product * size, 1n);
  if (elements !== BigInt(input.data.byteLength)) {
    throw new FeedbackInvalid({
      problem: `input of shape [${input.shape.join(', ')}] needs ${elements} bytes, ${input.data.byteLength} came`,
    });
  }
}
