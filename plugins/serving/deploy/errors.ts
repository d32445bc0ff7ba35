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

/** The target has files only. */
export const TargetFilesOnly: ErrorType<'target' | 'nextStep'> = defineError({
  reason: 'TARGET_FILES_ONLY',
  code: Code.UNIMPLEMENTED,
  message: ({ target, nextStep }) =>
    `The target '${target}' is given files and is not changed from here; render them, then: ${nextStep}`,
});

/** An option is not one of the target's, or its value is not right. */
export const OptionsInvalid: ErrorType<'target' | 'problem'> = defineError({
  reason: 'OPTIONS_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ target, problem }) =>
    `Options of the deployment target '${target}': ${problem}. See ListTargets.`,
});

/** The spec is not right. */
export const SpecInvalid: ErrorType<'problems'> = defineError({
  reason: 'SPEC_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ problems }) => `The spec cannot be deployed: ${problems}.`,
});

/** The target runs an image and the spec names none. */
export const ImageMissing: ErrorType<never> = defineError({
  reason: 'IMAGE_MISSING',
  code: Code.INVALID_ARGUMENT,
  message: () =>
    "The spec names no image; build one from what the target 'docker' renders, and put its name into 'image'.",
});

/** No image to build on is known for the accelerator. */
export const AcceleratorImageMissing: ErrorType<'accelerator'> = defineError({
  reason: 'ACCELERATOR_IMAGE_MISSING',
  code: Code.INVALID_ARGUMENT,
  message: ({ accelerator }) =>
    `An image for '${accelerator}' needs the option baseImage (Node 22, CUDA 12 with cuDNN 9${accelerator === 'tensorrt' ? ' and TensorRT' : ''}) and the architecture x64.`,
});

/** The model's file is not whole. */
export const ArtifactIncomplete: ErrorType<'name' | 'readBytes'> = defineError({
  reason: 'ARTIFACT_INCOMPLETE',
  code: Code.DATA_LOSS,
  message: ({ name, readBytes }) =>
    `Only ${readBytes} bytes of '${name}' came from the model registry; try again, then register it again.`,
});

/** No cluster answers. */
export const ClusterUnreachable: ErrorType<'problem'> = defineError({
  reason: 'CLUSTER_UNREACHABLE',
  code: Code.UNAVAILABLE,
  retryAfterMs: 5_000,
  message: ({ problem }) =>
    `The cluster cannot be reached: ${problem}; check kubeconfig and kubeContext of serving.deploy, and 'kubectl cluster-info'.`,
});

/** The cluster does not let us. */
export const ClusterForbidden: ErrorType<'name' | 'problem'> = defineError({
  reason: 'CLUSTER_FORBIDDEN',
  code: Code.PERMISSION_DENIED,
  message: ({ name, problem }) =>
    `The cluster refuses ${name}: ${problem}; give the account of the kubeconfig get, list, patch, create and delete on it.`,
});

/** Somebody else manages fields of the object. */
export const ClusterConflict: ErrorType<'name' | 'problem'> = defineError({
  reason: 'CLUSTER_CONFLICT',
  code: Code.ABORTED,
  message: ({ name, problem }) =>
    `Somebody else manages fields of ${name}: ${problem}; the option force=true takes them over.`,
});

/** The cluster finds the object wrong. */
export const ClusterRefused: ErrorType<'name' | 'problem'> = defineError({
  reason: 'CLUSTER_REFUSED',
  code: Code.FAILED_PRECONDITION,
  message: ({ name, problem }) => `The cluster does not take ${name}: ${problem}`,
});

/** The cluster does not know the kind, or the namespace is not there. */
export const ClusterKindUnknown: ErrorType<'name'> = defineError({
  reason: 'CLUSTER_KIND_UNKNOWN',
  code: Code.FAILED_PRECONDITION,
  message: ({ name }) =>
    `The cluster has no place for ${name}: install what defines that kind, make the namespace, or leave it out (serviceMonitor=false).`,
});

/** A package that the bundle needs is not installed here. */
export const PackageMissing: ErrorType<'name' | 'advice'> = defineError({
  reason: 'PACKAGE_MISSING',
  code: Code.FAILED_PRECONDITION,
  message: ({ name, advice }) => `The bundle needs '${name}', which is not installed here: ${advice}.`,
});

/** No plugin that a bundle needs is installed here. */
export const PluginsMissing: ErrorType<'service'> = defineError({
  reason: 'PLUGINS_MISSING',
  code: Code.FAILED_PRECONDITION,
  message: ({ service }) =>
    `No plugin that comes with Lamella provides ${service}; install Lamella anew, from its package.`,
});

/** A deployment is not there. */
export const DeploymentNotFound: ErrorType<'name'> = defineError({
  reason: 'DEPLOYMENT_NOT_FOUND',
  code: Code.NOT_FOUND,
  message: ({ name }) => `There is no deployment '${name}'; ListDeployments names those there are.`,
});

/** A deployment did not become ready in time. */
export const DeploymentTooSlow: ErrorType<'name' | 'timeoutMs' | 'state'> = defineError({
  reason: 'DEPLOYMENT_TOO_SLOW',
  code: Code.DEADLINE_EXCEEDED,
  message: ({ name, timeoutMs, state }) =>
    `'${name}' was not ready within ${timeoutMs} ms (${state}); raise readyTimeoutMs of serving.deploy or repair what holds it up.`,
});
