import type { OrtPort } from './tensor.ts';

/** What the child is told when it opens a model. */
export interface OpenRequest {
  /** Size of the ONNX file, which the padding of the frame hides. */
  readonly modelBytes: number;
  /** Threads of one operator. */
  readonly intraOpThreads: number;
  /** Execution providers in order of preference. */
  readonly executionProviders: readonly string[];
  /** Graph optimisation: `disabled`, `basic`, `extended`, `layout` or `all`. */
  readonly graphOptimization: GraphOptimization;
}

/** How far ONNX Runtime rewrites the graph when it loads it. */
export type GraphOptimization = 'disabled' | 'basic' | 'extended' | 'layout' | 'all';

/** What the child answers when the model is open. */
export interface OpenedReply {
  /** Inputs in the order of the graph. */
  readonly inputs: readonly OrtPort[];
  /** Outputs in the order of the graph. */
  readonly outputs: readonly OrtPort[];
}

/** What the child answers when something failed but it can go on. */
export interface FailedReply {
  /** `runtime`: the library did not load; `model`: the model was refused; `run`: a run failed. */
  readonly stage: 'runtime' | 'model' | 'run';
  /** Sentence for people. */
  readonly message: string;
}
