import type { Matching } from './expression.ts';

/** Labels of a series, in the order of their names; the metric's own name is `__name__`. */
export type SeriesLabels = Readonly<Record<string, string>>;

/** Label under which a metric's name is kept. */
export const NAME_LABEL = '__name__';

/** Value of a label; a label that is not there is empty. */
export function labelOf(labels: SeriesLabels, name: string): string {
  return Object.hasOwn(labels, name) ? (labels[name] ?? '') : '';
}

/** Puts labels into the order of their names and drops empty ones, so that equal ones have one text. */
export function sortedLabels(pairs: Iterable<readonly [string, string]>): SeriesLabels {
  const kept = [...pairs].filter(([, value]) => value !== '');
  return Object.fromEntries(kept.toSorted(([left], [right]) => (left < right ? -1 : Number(left > right))));
}

/** A text that is the same for equal labels. */
export function signatureOf(labels: SeriesLabels): string {
  return JSON.stringify(labels);
}

/** Labels without some. */
export function without(labels: SeriesLabels, names: readonly string[]): SeriesLabels {
  return Object.fromEntries(Object.entries(labels).filter(([name]) => !names.includes(name)));
}

/** Only some of the labels. */
export function only(labels: SeriesLabels, names: readonly string[]): SeriesLabels {
  return Object.fromEntries(Object.entries(labels).filter(([name]) => names.includes(name)));
}

/** Labels without the metric's name. */
export function unnamed(labels: SeriesLabels): SeriesLabels {
  return without(labels, [NAME_LABEL]);
}

/** Labels by which series of two sides find each other. */
export function matchedLabels(labels: SeriesLabels, { isOn, labels: names }: Matching): SeriesLabels {
  return isOn ? only(labels, names) : without(labels, [NAME_LABEL, ...names]);
}
