import { RequestInvalid } from './errors.ts';

/** Settings of the trace extension by name; each is a list of texts, as in Triton. */
export type TraceValues = Readonly<Record<string, readonly string[]>>;

/** What is traced. */
export interface TraceRule {
  /** True when requests are traced. */
  readonly isOn: boolean;
  /** One of so many requests. */
  readonly rate: number;
  /** Traces that are left to make; -1 for no limit. */
  readonly count: number;
}

const DEFAULTS: TraceValues = {
  trace_level: ['OFF'],
  trace_rate: ['1000'],
  trace_count: ['-1'],
};

/** Settings that can be read only. */
const FIXED: TraceValues = { trace_file: ['traces.jsonl'], log_frequency: ['0'], trace_mode: ['triton'] };

const CHECKS: Readonly<
  Record<string, { readonly fits: (values: readonly string[]) => boolean; readonly advice: string }>
> = {
  trace_level: {
    fits: (values) => values.length > 0 && values.every((value) => value === 'OFF' || value === 'TIMESTAMPS'),
    advice: 'OFF or TIMESTAMPS; tensors are not traced',
  },
  trace_rate: {
    fits: ([value = '', ...more]) => more.length === 0 && /^[1-9][0-9]{0,9}$/.test(value),
    advice: 'a number above 0',
  },
  trace_count: {
    fits: ([value = '', ...more]) => more.length === 0 && /^(-1|0|[1-9][0-9]{0,9})$/.test(value),
    advice: 'a number, -1 for no limit',
  },
};

/** Settings of all models and of single ones, which go before them. */
export class TraceSettings {
  #shared: TraceValues = {};
  readonly #byModel: Map<string, TraceValues> = new Map();

  /** All settings of a model, or of all models for an empty name. */
  settings(model: string): TraceValues {
    return { ...DEFAULTS, ...this.#shared, ...this.#byModel.get(model), ...FIXED };
  }

  /** What is traced of a model. */
  rule(model: string): TraceRule {
    const {
      trace_level: level = [],
      trace_rate: [rate] = [],
      trace_count: [count] = [],
    } = this.settings(model);
    return { isOn: level.includes('TIMESTAMPS'), rate: Number(rate), count: Number(count) };
  }

  /** Changes settings, or none when one does not fit; one without values is cleared. @throws REQUEST_INVALID */
  change(model: string, settings: TraceValues): void {
    for (const [name, values] of Object.entries(settings)) {
      const check = Object.hasOwn(CHECKS, name) ? CHECKS[name] : undefined;
      if (check === undefined) {
        const what = Object.hasOwn(FIXED, name) ? 'cannot be changed' : 'is no trace setting';
        throw new RequestInvalid({ problem: `'${name.slice(0, 100)}' ${what}` });
      }
      if (values.length > 0 && !check.fits(values)) {
        throw new RequestInvalid({ problem: `${name} must be ${check.advice}` });
      }
    }
    const before = model === '' ? this.#shared : (this.#byModel.get(model) ?? {});
    const after = Object.fromEntries(
      Object.entries({ ...before, ...settings }).filter(([, values]) => values.length > 0),
    );
    if (model === '') this.#shared = after;
    else this.#byModel.set(model, after);
  }
}
