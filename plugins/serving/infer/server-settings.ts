import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  LogSettingsRequest,
  LogSettingsResponseSchema,
  TraceSettingRequest,
  TraceSettingResponseSchema,
} from 'lamella/proto/inference/grpc_inference_service';
import { RequestInvalid } from './errors.ts';
import type { LogSetting } from './infer-log.ts';
import type { ModelRepository } from './repository.ts';
import type { TraceValues } from './trace-settings.ts';

/** Changes trace settings of a model, or of all for an empty name. @throws REQUEST_INVALID MODEL_UNKNOWN */
export function changeTraces(repository: ModelRepository, model: string, values: TraceValues): TraceValues {
  if (model !== '') repository.get(model);
  const { tracer } = repository.observer;
  if (Object.keys(values).length > 0) tracer.change(model, values);
  return tracer.settings.settings(model);
}

/** The method of the trace extension. @throws REQUEST_INVALID MODEL_UNKNOWN */
export function traceSetting(
  repository: ModelRepository,
  { settings, modelName }: TraceSettingRequest,
): MessageInitShape<typeof TraceSettingResponseSchema> {
  const values = Object.entries(settings).map(([name, { value }]) => [name, value] as const);
  const after = changeTraces(repository, modelName, Object.fromEntries(values));
  const entries = Object.entries(after).map(([name, value]): [string, { value: string[] }] => [
    name,
    { value: [...value] },
  ]);
  return { settings: Object.fromEntries(entries) };
}

/** The method of the logging extension. @throws REQUEST_INVALID */
export function logSettings(
  { observer: { log } }: ModelRepository,
  { settings }: LogSettingsRequest,
): MessageInitShape<typeof LogSettingsResponseSchema> {
  const values = Object.entries(settings).map(
    ([name, { parameterChoice }]) => [name, parameterChoice.value] as const,
  );
  log.change(Object.fromEntries(values));
  const entries = Object.entries(log.settings()).map(
    ([name, value]) => [name, { parameterChoice: logChoice(value) }] as const,
  );
  return { settings: Object.fromEntries(entries) };
}

type LogChoice =
  | { readonly case: 'boolParam'; readonly value: boolean }
  | { readonly case: 'uint32Param'; readonly value: number }
  | { readonly case: 'stringParam'; readonly value: string };

function logChoice(value: LogSetting): LogChoice {
  if (typeof value === 'boolean') return { case: 'boolParam', value };
  if (typeof value === 'number') return { case: 'uint32Param', value };
  return { case: 'stringParam', value };
}

/** Trace settings in JSON: a text, a list of texts, or null, which clears the setting. @throws REQUEST_INVALID */
export function readTraceValues(body: Readonly<Record<string, unknown>>): TraceValues {
  return Object.fromEntries(
    Object.entries(body).map(([name, value]) => {
      if (value === null) return [name, []];
      const values: readonly unknown[] = Array.isArray(value) ? value : [value];
      if (values.every((one) => typeof one === 'string' || typeof one === 'number'))
        return [name, values.map(String)];
      throw new RequestInvalid({
        problem: `'${name.slice(0, 100)}' must be a text, a list of texts, or null`,
      });
    }),
  );
}

/** Trace settings as Triton writes them in JSON: the level as a list, all others as texts. */
export function jsonTraces(values: TraceValues): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, name === 'trace_level' ? value : (value[0] ?? '')]),
  );
}
