import { Code, type ErrorType } from '../sdk/index.ts';
import { defineKernelError } from './kernel-error.ts';

/** The bytes of a request are not the message that the method takes. */
export const MalformedRequest: ErrorType<'type' | 'reason'> = defineKernelError({
  reason: 'MALFORMED_REQUEST',
  code: Code.INVALID_ARGUMENT,
  message: ({ type, reason }) =>
    `The request is not a valid ${type} (${reason}); send the message that the service's .proto declares.`,
});

/** A service implementation lacks methods of its descriptor. */
export const MethodNotImplemented: ErrorType<'service' | 'methods'> = defineKernelError({
  reason: 'METHOD_NOT_IMPLEMENTED',
  code: Code.UNIMPLEMENTED,
  message: ({ service, methods }) =>
    `${service} does not implement ${methods}; add the methods or remove the service from the plugin.`,
});

/** Nobody provides the service. */
export const ServiceNotFound: ErrorType<'service'> = defineKernelError({
  reason: 'SERVICE_NOT_FOUND',
  code: Code.UNIMPLEMENTED,
  message: ({ service }) =>
    `No loaded plugin provides ${service}; 'lamella plugin list' shows what is loaded, 'lamella plugin load DIR' loads more.`,
});

/** The kernel does not know yet what will be loaded, and too many calls wait for that, or for too long. */
export const KernelStarting: ErrorType<'service'> = defineKernelError({
  reason: 'KERNEL_STARTING',
  code: Code.UNAVAILABLE,
  retryAfterMs: 250,
  message: ({ service }) => `The kernel starts and does not know yet who provides ${service}; retry later.`,
});

/** More calls came at once than could be begun within a quarter of the time that this one has. */
export const ServerOverloaded: ErrorType = defineKernelError({
  reason: 'SERVER_OVERLOADED',
  code: Code.UNAVAILABLE,
  retryAfterMs: 100,
  message: () =>
    'The server has more calls than it can begin in time; try again later, or on another server.',
});

/** The kernel is on its way out. */
export const KernelStopping: ErrorType = defineKernelError({
  reason: 'KERNEL_STOPPING',
  code: Code.UNAVAILABLE,
  retryAfterMs: 1_000,
  message: () => 'The kernel stops and starts nothing any more; retry when it runs again.',
});

/** Nobody provides this variant of an extension point. */
export const ExtensionNotFound: ErrorType<'service' | 'extension' | 'known'> = defineKernelError({
  reason: 'EXTENSION_NOT_FOUND',
  code: Code.NOT_FOUND,
  message: ({ service, extension, known }) =>
    `No plugin provides '${extension}' for ${service}; there is: ${known}.`,
});

/** The plugin is known but cannot serve now. */
export const PluginNotReady: ErrorType<'plugin' | 'state' | 'reason'> = defineKernelError({
  reason: 'PLUGIN_NOT_READY',
  code: Code.UNAVAILABLE,
  retryAfterMs: 250,
  message: ({ plugin, state, reason }) =>
    `Plugin '${plugin}' is ${state}${reason === '' ? '' : ` (${reason})`}; retry, or see 'lamella plugin list'.`,
});

/** Too many calls already wait for the plugin. */
export const ParkingFull: ErrorType<'plugin' | 'limit'> = defineKernelError({
  reason: 'PARKING_FULL',
  code: Code.UNAVAILABLE,
  retryAfterMs: 250,
  message: ({ plugin, limit }) =>
    `Plugin '${plugin}' is not ready and ${limit} calls already wait for it; retry later.`,
});

/** A plugin serves something that its manifest does not announce. */
export const ServiceNotProvided: ErrorType<'plugin' | 'service'> = defineKernelError({
  reason: 'SERVICE_NOT_PROVIDED',
  code: Code.FAILED_PRECONDITION,
  message: ({ plugin, service }) =>
    `Plugin '${plugin}' serves ${service} but its plugin.json does not list it; add it to "provides".`,
});

/** A plugin announces a service and does not serve it. */
export const ServiceNotServed: ErrorType<'plugin' | 'services'> = defineKernelError({
  reason: 'SERVICE_NOT_SERVED',
  code: Code.FAILED_PRECONDITION,
  message: ({ plugin, services }) =>
    `Plugin '${plugin}' announces ${services} but start() does not serve it; call host.serve for each.`,
});

/** No plugin of that id is loaded. */
export const PluginNotFound: ErrorType<'plugin' | 'near'> = defineKernelError({
  reason: 'PLUGIN_NOT_FOUND',
  code: Code.NOT_FOUND,
  message: ({ plugin, near }) => {
    const hint = near === '' ? '' : ` Did you mean '${near}'?`;
    return `No plugin '${plugin}' is loaded; 'lamella plugin list' shows the ids.${hint}`;
  },
});

/** Others still need the plugin. */
export const PluginInUse: ErrorType<'plugin' | 'dependants'> = defineKernelError({
  reason: 'PLUGIN_IN_USE',
  code: Code.FAILED_PRECONDITION,
  message: ({ plugin, dependants }) =>
    `Plugin '${plugin}' is required by ${dependants}; unload them first, or use --force (field 'force') and let them turn DEGRADED.`,
});

/** A plugin's code could not be built, loaded or started. */
export const PluginStartFailed: ErrorType<'plugin' | 'cause'> = defineKernelError({
  reason: 'PLUGIN_START_FAILED',
  code: Code.FAILED_PRECONDITION,
  message: ({ plugin, cause }) => `Plugin '${plugin}' did not start: ${cause}`,
});

/** The dependency graph does not resolve. */
export const PluginsUnresolved: ErrorType<'failures'> = defineKernelError({
  reason: 'PLUGINS_UNRESOLVED',
  code: Code.FAILED_PRECONDITION,
  message: ({ failures }) => `The plugins do not fit together:\n${failures}`,
});

/** The isolation level is not available. */
export const IsolationUnsupported: ErrorType<'plugin' | 'level' | 'supported'> = defineKernelError({
  reason: 'ISOLATION_UNSUPPORTED',
  code: Code.FAILED_PRECONDITION,
  message: ({ plugin, level, supported }) =>
    `Plugin '${plugin}' asks for isolation ${level}, which this version cannot give; choose one of ${supported}.`,
});

/** A plugin process or worker ended. */
export const PluginExited: ErrorType<'plugin' | 'how'> = defineKernelError({
  reason: 'PLUGIN_EXITED',
  code: Code.UNAVAILABLE,
  retryAfterMs: 250,
  message: ({ plugin, how }) => `Plugin '${plugin}' ended by itself (${how}); it is being restarted, retry.`,
});

/** No address of a plugin that runs elsewhere is healthy. */
export const RemoteUnreachable: ErrorType<'plugin' | 'addresses' | 'obstacle'> = defineKernelError({
  reason: 'REMOTE_UNREACHABLE',
  code: Code.UNAVAILABLE,
  retryAfterMs: 500,
  message: ({ plugin, addresses, obstacle }) =>
    `Plugin '${plugin}' answers at none of ${addresses} (${obstacle}); retry, or check what runs there.`,
});

/** The addresses of a plugin that runs elsewhere cannot be used. */
export const RemoteMisconfigured: ErrorType<'plugin' | 'problem'> = defineKernelError({
  reason: 'REMOTE_MISCONFIGURED',
  code: Code.FAILED_PRECONDITION,
  message: ({ plugin, problem }) =>
    `Plugin '${plugin}' cannot run REMOTE: ${problem}; set plugins.${plugin}.remote in config.json.`,
});

/** A secret that is granted and has no value. */
export const SecretMissing: ErrorType<'plugin' | 'secret'> = defineKernelError({
  reason: 'SECRET_MISSING',
  code: Code.FAILED_PRECONDITION,
  message: ({ plugin, secret }) =>
    `Secret '${secret}' of plugin '${plugin}' has no value; set "plugins": { "${plugin}": { "secrets": { "${secret}": "VARIABLE" } } } in config.json and the environment variable it names.`,
});

/** Too many calls are running, and too many wait. */
export const TooManyCalls: ErrorType<'plugin' | 'limit' | 'queue'> = defineKernelError({
  reason: 'TOO_MANY_CALLS',
  code: Code.RESOURCE_EXHAUSTED,
  retryAfterMs: 250,
  message: ({ plugin, limit, queue }) =>
    `Plugin '${plugin}' already serves ${limit} calls and ${queue} wait, its limits; retry later or raise "resources.concurrency" or "resources.queue".`,
});

/** More calls in a time than the operator allows. */
export const PluginRateLimited: ErrorType<'plugin'> = defineKernelError({
  reason: 'PLUGIN_RATE_LIMITED',
  code: Code.RESOURCE_EXHAUSTED,
  retryAfterMs: 1_000,
  message: ({ plugin }) =>
    `Plugin '${plugin}' is called more often than plugins.${plugin}.rateLimit allows; slow down, or raise the limit.`,
});

/** The instance failed most of its last calls. */
export const CircuitOpen: ErrorType<'plugin'> = defineKernelError({
  reason: 'CIRCUIT_OPEN',
  code: Code.UNAVAILABLE,
  retryAfterMs: 5_000,
  message: ({ plugin }) =>
    `Plugin '${plugin}' failed most of its last calls and gets none for a while; retry later, its log says what fails.`,
});

/** Another kernel uses the home folder. */
export const HomeInUse: ErrorType<'home' | 'pid'> = defineKernelError({
  reason: 'HOME_IN_USE',
  code: Code.FAILED_PRECONDITION,
  message: ({ home, pid }) => `${home} is in use by process ${pid}; stop it, or start with another --home.`,
});

/** A port is taken. */
export const PortInUse: ErrorType<'name' | 'address'> = defineKernelError({
  reason: 'PORT_IN_USE',
  code: Code.FAILED_PRECONDITION,
  message: ({ name, address }) =>
    `The ${name} address ${address} is in use; stop what listens there, or choose another with --${name}-port (0 takes a free one).`,
});

/** The kernel cannot write. */
export const StorageFailed: ErrorType<'directory' | 'cause'> = defineKernelError({
  reason: 'STORAGE_FAILED',
  code: Code.UNAVAILABLE,
  retryAfterMs: 1_000,
  message: ({ directory, cause }) =>
    `Nothing could be written under ${directory} (${cause}); free disk space or check permissions, then retry.`,
});

/** A call that only plugin processes may make. */
export const NotAPlugin: ErrorType = defineKernelError({
  reason: 'NOT_A_PLUGIN',
  code: Code.UNAUTHENTICATED,
  message: () =>
    "This service is for plugin processes; send the kernel's token from LAMELLA_PLUGIN_TOKEN as 'lamella-token'.",
});

/** A field of a request that this version does not act on; ignoring it would do something else than was asked. */
export const RequestFieldUnsupported: ErrorType<'field' | 'instead'> = defineKernelError({
  reason: 'REQUEST_FIELD_UNSUPPORTED',
  code: Code.UNIMPLEMENTED,
  message: ({ field, instead }) => `'${field}' is not supported yet; ${instead}.`,
});

/** A plugin wants a connection to a server that cannot be named so, or not without TLS. */
export const ServerTargetInvalid: ErrorType<'address' | 'problem'> = defineKernelError({
  reason: 'SERVER_TARGET_INVALID',
  code: Code.INVALID_ARGUMENT,
  message: ({ address, problem }) => `The server address '${address}' ${problem}.`,
});
