import type { EvaluateService } from 'lamella/proto/lamella/model/v1/evaluate_service';
import type { ServiceImplementation } from 'lamella/sdk';
import type { Evaluator } from './evaluator.ts';

/** EvaluateService over an evaluator. */
export function evaluateService(evaluator: Evaluator): ServiceImplementation<typeof EvaluateService> {
  return {
    evaluate: (request, context) => evaluator.evaluate(request, context),
    evaluateRobustness: (request, context) => evaluator.evaluateRobustness(request, context),
  };
}
