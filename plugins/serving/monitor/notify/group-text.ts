import type { SeriesLabels } from '../promql/labels.ts';

/** Labels of a group as one text for people. */
export function groupText(labels: SeriesLabels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(', ');
}
