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
export { availableCores } from './cores.ts';
export { openSession } from './open-session.ts';
export type { OrtRunOptions, OrtSession, OrtSessionOptions } from './session.ts';
export type { GraphOptimization } from './session-options.ts';
export type { RowValues, TuneData } from './tune-inputs.ts';
export { bestOf, type Measured, type Setting, tuneModel, type TuneOptions, type Tuning } from './tune.ts';
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
