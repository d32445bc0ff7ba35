export {
  Cancelled,
  ChildExited,
  ModelRejected,
  QueueFull,
  RunFailed,
  RuntimeMissing,
  SessionClosed,
  TensorInvalid,
  TimedOut,
} from './errors.ts';
export { openSession } from './open-session.ts';
export type { OrtRunOptions, OrtSession, OrtSessionOptions } from './session.ts';
export type { GraphOptimization } from './session-options.ts';
export { PackedTensor, piecesOf } from './packed-tensor.ts';
export {
  elementSize,
  elementsOf,
  numberView,
  type OrtData,
  type OrtElementType,
  type OrtPort,
  type OrtTensor,
  type OrtTensors,
} from './tensor.ts';
