import type { TrainService } from 'lamella/proto/lamella/model/v1/train_service';
import type { ServiceImplementation } from 'lamella/sdk';
import type { Trainer } from './trainer.ts';

/** Serves a trainer. */
export function trainService(trainer: Trainer): ServiceImplementation<typeof TrainService> {
  return {
    train: (request, context) => trainer.train(request, context),
    listEngines: () => ({
      engines: [
        {
          id: 'onnx',
          description: 'Training as an ONNX graph, run by ONNX Runtime in a child process',
          available: true,
          reason: '',
          devices: ['cpu'],
        },
      ],
      nextPageToken: '',
    }),
  };
}
