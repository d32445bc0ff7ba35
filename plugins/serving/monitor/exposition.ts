import { NAME_LABEL, type SeriesLabels, sortedLabels } from './promql/labels.ts';

const SERIES = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?$/s;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;
const ESCAPES: Readonly<Record<string, string>> = { '\\n': '\n', '\\"': '"', '\\\\': '\\' };

/** Reads `name{label="value"}` of Prometheus text format 0.0.4; `undefined` for what it is not. */
export function parseSeries(text: string): SeriesLabels | undefined {
  const [, name, labels = ''] = SERIES.exec(text) ?? [];
  if (name === undefined) return undefined;
  const pairs = [...labels.matchAll(LABEL)].map(
    ([, label = '', value = '']) =>
      [label, value.replace(/\\./g, (escape) => ESCAPES[escape] ?? escape)] as const,
  );
  return sortedLabels([[NAME_LABEL, name], ...pairs]);
}
