import { Code, defineError, type ErrorType } from 'lamella/sdk';

/** The request names no model version. */
export const VersionNameInvalid: ErrorType<'name'> = defineError({
  reason: 'VERSION_NAME_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ name }) =>
    `'${name}' names no model version; write models/{model}/versions/{version} or models/{model}/aliases/{alias}.`,
});

/** The target is not there. */
export const TargetUnknown: ErrorType<'target' | 'known'> = defineError({
  reason: 'TARGET_UNKNOWN',
  code: Code.INVALID_ARGUMENT,
  message: ({ target, known }) => `There is no deployment target '${target}'; use one of: ${known}.`,
});

/** The target is known but does not work here. */
export const TargetUnavailable: ErrorType<'target' | 'why'> = defineError({
  reason: 'TARGET_UNAVAILABLE',
  code: Code.FAILED_PRECONDITION,
  message: ({ target, why }) => `The deployment target '${target}' cannot be used: ${why}`,
});

/** Options were given to a target that takes none of them. */
export const OptionsInvalid: ErrorType<'target' | 'option'> = defineError({
  reason: 'OPTIONS_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ target, option }) =>
    `The deployment target '${target}' has no option '${option}'; see ListTargets.`,
});

/** A deployment is not there. */
export const DeploymentNotFound: ErrorType<'name'> = defineError({
  reason: 'DEPLOYMENT_NOT_FOUND',
  code: Code.NOT_FOUND,
  message: ({ name }) => `There is no deployment '${name}'; ListDeployments names those there are.`,
});

/** A deployment did not become ready in time. */
export const DeploymentTooSlow: ErrorType<'name' | 'timeoutMs'> = defineError({
  reason: 'DEPLOYMENT_TOO_SLOW',
  code: Code.DEADLINE_EXCEEDED,
  message: ({ name, timeoutMs }) =>
    `'${name}' was not ready within ${timeoutMs} ms; raise readyTimeoutMs of serving.deploy or deploy a smaller model.`,
});
