import { serviceOf } from './dispatcher.ts';
import type { Router } from './router.ts';

/** Upper bounds of the duration histogram, in seconds: from a cached answer to a long training step. */
const BOUNDS_SECONDS: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

/** Methods that are told apart; calls of more are counted together. A kernel with a thousand plugins has fewer. */
const METHOD_LIMIT = 10_000;

/** Where calls of anything else are counted: names that nobody serves are a caller's to make up. */
const OTHERS = '/other/other';

const METHOD_PATH = /^\/[\w.]+\/\w+$/;

interface MethodCounts {
  /** Calls by bucket, the last one above every bound; not cumulated. */
  readonly buckets: Float64Array;
  readonly codes: Map<string, number>;
  sumSeconds: number;
}

/** Counts of every method since the kernel started. */
export interface CallStatistics {
  readonly boundsSeconds: readonly number[];
  readonly methods: readonly {
    readonly path: string;
    readonly plugin: string;
    readonly calls: number;
    readonly errors: number;
    readonly buckets: readonly number[];
  }[];
}

/**
 * Rate, errors and duration of every method.
 *
 * @remarks Counted in plain arrays and written as text when somebody asks: this sits on every call, and the general
 * metrics make an object and join its labels each time.
 */
export class CallMetrics {
  readonly #router: Router;
  readonly #methods: Map<string, MethodCounts> = new Map();

  constructor(router: Router) {
    this.#router = router;
  }

  /** Counts one call that has ended. */
  count(path: string, code: string, seconds: number): void {
    const counts = this.#methods.get(path) ?? this.#add(path);
    let bucket = 0;
    while (bucket < BOUNDS_SECONDS.length && seconds > (BOUNDS_SECONDS[bucket] ?? 0)) bucket += 1;
    counts.buckets[bucket] = (counts.buckets[bucket] ?? 0) + 1;
    counts.sumSeconds += seconds;
    counts.codes.set(code, (counts.codes.get(code) ?? 0) + 1);
  }

  #add(path: string): MethodCounts {
    const isKnown = METHOD_PATH.test(path) && this.#router.has(serviceOf(path));
    const known = isKnown && this.#methods.size < METHOD_LIMIT ? path : OTHERS;
    const counts = this.#methods.get(known) ?? {
      buckets: new Float64Array(BOUNDS_SECONDS.length + 1),
      codes: new Map<string, number>(),
      sumSeconds: 0,
    };
    this.#methods.set(known, counts);
    return counts;
  }

  /** The same as numbers. */
  statistics(): CallStatistics {
    const methods = [...this.#methods].map(([path, { buckets, codes }]) => {
      const calls = buckets.reduce((sum, count) => sum + count, 0);
      const plugin = this.#router.providerName(serviceOf(path));
      return { path, plugin, calls, errors: calls - (codes.get('OK') ?? 0), buckets: [...buckets] };
    });
    return { boundsSeconds: BOUNDS_SECONDS, methods };
  }

  /** Prometheus text; the plugin is the one that provides the method now. */
  text(): string {
    const durations = [
      '# HELP lamella_rpc_duration_seconds Time from the arrival of a call to its status, by plugin and method.',
      '# TYPE lamella_rpc_duration_seconds histogram',
    ];
    const totals = [
      '# HELP lamella_rpc_total Calls that have ended, by plugin, method and status code.',
      '# TYPE lamella_rpc_total counter',
    ];
    for (const [path, counts] of this.#methods) {
      const labels = `plugin="${this.#router.providerName(serviceOf(path))}",method="${path}"`;
      durations.push(...durationLines(labels, counts));
      for (const [code, calls] of counts.codes) {
        totals.push(`lamella_rpc_total{${labels},code="${code}"} ${calls}`);
      }
    }
    return `${[...durations, ...totals].join('\n')}\n`;
  }
}

function durationLines(labels: string, { buckets, sumSeconds }: MethodCounts): string[] {
  let count = 0;
  const lines = [...buckets].map((calls, index) => {
    count += calls;
    return `lamella_rpc_duration_seconds_bucket{${labels},le="${BOUNDS_SECONDS[index] ?? '+Inf'}"} ${count}`;
  });
  return [
    ...lines,
    `lamella_rpc_duration_seconds_sum{${labels}} ${sumSeconds}`,
    `lamella_rpc_duration_seconds_count{${labels}} ${count}`,
  ];
}
