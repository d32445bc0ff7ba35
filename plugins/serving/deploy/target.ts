import type { CallContext } from 'lamella/sdk';

/** A registered version that is to be deployed. */
export interface TargetVersion {
  /** Model id. */
  readonly model: string;
  /** Version number. */
  readonly version: string;
}

/** A place to deploy to. */
export interface Target {
  /** Name in requests. */
  readonly name: string;
  /** One sentence for people. */
  readonly description: string;
  /** Why it cannot be used here and what to do; `undefined` when it can. */
  readonly unavailable: string | undefined;
  /** Brings a version up and returns once it answers; what answered before stays when it throws. */
  deploy(version: TargetVersion, context: CallContext): Promise<void>;
  /** Takes a model away once its calls have ended. */
  undeploy(model: string, context: CallContext): Promise<void>;
  /** Tells whether just that version answers now. */
  isReady(version: TargetVersion, context: CallContext): Promise<boolean>;
}

/** A target that is planned and says so instead of failing in an unclear way. */
export function absentTarget(name: string, description: string): Target {
  const unavailable = `this version of Lamella deploys to 'local' only.`;
  const refuse = (): Promise<never> => Promise.reject(new Error(unavailable));
  return {
    name,
    description,
    unavailable,
    deploy: refuse,
    undeploy: refuse,
    isReady: () => Promise.resolve(false),
  };
}
