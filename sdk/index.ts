export { CODES, Code, type CodeName } from './status-code.ts';
export {
  codeName,
  DeclaredError,
  defineError,
  isDeclaredError,
  type DeclaredErrorInit,
  type ErrorDefinition,
  type ErrorExtras,
  type ErrorType,
  type FieldViolation,
} from './errors.ts';
export {
  type ConfigOf,
  defineConfig,
  secret,
  Type,
  type Static,
  type TObject,
  type TProperties,
  type TSchema,
} from './config.ts';
export { definePlugin, type Plugin, type PluginDefinition } from './plugin.ts';
export type {
  CallContext,
  CallHeaders,
  CallOptions,
  CallSpan,
  Client,
  MethodClient,
  MethodCodec,
  MethodImplementation,
  SpanStep,
  ServiceCodecs,
  ServiceImplementation,
} from './service.ts';
export type {
  CallTarget,
  Clock,
  Counter,
  CounterSeries,
  EventMessage,
  EventSubscription,
  Events,
  FetchHandler,
  Gauge,
  GaugeSeries,
  Histogram,
  HistogramSeries,
  Host,
  HttpContext,
  Labels,
  Logger,
  MetricOptions,
  Metrics,
  Resource,
  Secrets,
  ServerConnection,
  ServerTarget,
  ServerTls,
  Storage,
  StorageEntry,
} from './host.ts';
export { PACKAGE_DIRECTORY } from './package-directory.ts';
export { isHoldout } from './split.ts';
export { type Page, PageInvalid, pageOf, type PageRequest } from './page.ts';
export { floatLiteral, identifier, INPUT, numberLiteral, textLiteral } from './sql.ts';
export { closeLmdb, lmdbCause, type LmdbEnvironment, requireLmdbRoom } from './lmdb.ts';
