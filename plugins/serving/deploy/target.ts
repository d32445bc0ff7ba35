import type { TObject } from '@sinclair/typebox';
import type { CallContext } from 'lamella/sdk';
import type { ChangeKind } from 'lamella/proto/lamella/serving/v1/deploy_service';
import type { Spec } from './spec.ts';

/** A registered version that is to be deployed. */
export interface TargetVersion {
  /** Model id. */
  readonly model: string;
  /** Version number. */
  readonly version: string;
}

/** Everything a target is told of one deployment; checked before any target sees it. */
export interface DeploymentPlan extends TargetVersion {
  /** What shall run, with defaults filled in. */
  readonly spec: Spec;
  /** Options of the target, as its schema wants them, defaults filled in. */
  readonly options: Readonly<Record<string, unknown>>;
  /** The ONNX file. */
  readonly artifact: FileSource;
}

/** Bytes that are read when they are needed. */
export interface FileSource {
  /** Number of bytes that `read` gives. */
  readonly sizeBytes: number;
  /** Reads from the start. */
  read(context: CallContext): AsyncIterable<Uint8Array>;
}

/** A file that a target would be given. */
export interface TargetFile {
  /** Path with `/`, below a folder of the caller's choice. */
  readonly path: string;
  /** Text that people read, or bytes. */
  readonly content: string | FileSource;
  /** True for a program. */
  readonly isExecutable?: boolean;
}

/** One thing at a target and what Deploy would do to it. */
export interface ResourceChange {
  /** Which it is, for people. */
  readonly resource: string;
  /** What happens to it. */
  readonly kind: ChangeKind;
  /** Fields that change, `path: before -> after`. */
  readonly fields: readonly string[];
}

/** Where a deployment is, so that it can be taken away again. */
export interface Place {
  /** Model id. */
  readonly model: string;
  /** Name of the deployment. */
  readonly name: string;
  /** Kubernetes namespace. */
  readonly namespace: string;
}

/** A target that can be changed from here, not only written files for. */
export interface LiveTarget {
  /** Brings a version up and returns once it answers; what answered before stays when it throws. */
  deploy(plan: DeploymentPlan, context: CallContext): Promise<void>;
  /** Takes a deployment away once its calls have ended; none is no error. */
  undeploy(place: Place, context: CallContext): Promise<void>;
  /** What `deploy` would touch. */
  diff(plan: DeploymentPlan, context: CallContext): Promise<readonly ResourceChange[]>;
}

/** A place to deploy to. */
export interface Target {
  /** Name in requests. */
  readonly name: string;
  /** One sentence for people. */
  readonly description: string;
  /** Options by name; all of them optional. */
  readonly options: TObject;
  /** What the target is given; the same plan gives the same files. */
  render(plan: DeploymentPlan, context: CallContext): AsyncIterable<TargetFile>;
  /** How to change it; missing where the files are all there is. */
  readonly live?: LiveTarget;
  /** What to do with the files; for targets that have nothing live. */
  readonly nextStep?: string;
}
