import { labelOf, type SeriesLabels } from '../promql/labels.ts';

/** What a template is filled with. */
export interface TemplateValues {
  readonly labels: SeriesLabels;
  readonly value: number;
}

/** A text with places for labels and the value, as in Prometheus. */
export type Template = (values: TemplateValues) => string;

const FORM = /^(?:\$labels|\.Labels)\.([a-zA-Z_]\w*)$/;
const FORMATS: Readonly<Record<string, (value: number) => string>> = {
  humanize,
  humanizePercentage: (value) => `${significant(value * 100)}%`,
  humanizeDuration,
};

/** Longest text that a template gives, in characters. */
const MAX_TEXT_LENGTH = 2_000;

/**
 * Reads a template. There are `{{ $labels.name }}`, `{{ $value }}` and `{{ $value | humanize }}`, `humanizePercentage`,
 * `humanizeDuration`.
 *
 * @throws Error for anything else within `{{ }}`
 */
export function parseTemplate(text: string): Template {
  const parts = text.split(/\{\{(.*?)\}\}/s);
  const pieces = parts.map((part, index): Template => (index % 2 === 0 ? () => part : action(part.trim())));
  return (values) =>
    pieces
      .map((piece) => piece(values))
      .join('')
      .slice(0, MAX_TEXT_LENGTH);
}

function action(text: string): Template {
  const [subject = '', format, ...rest] = text.split('|').map((part) => part.trim());
  const label = FORM.exec(subject)?.[1];
  if (label !== undefined && format === undefined) return ({ labels }) => labelOf(labels, label);
  const write = format === undefined ? String : FORMATS[format];
  if ((subject === '$value' || subject === '.Value') && write !== undefined && rest.length === 0) {
    return ({ value }) => write(value);
  }
  throw new Error(
    `'{{ ${text} }}' is not supported; there are $labels.name, $value and $value | ${Object.keys(FORMATS).join(', ')}`,
  );
}

function significant(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(4))) : String(value);
}

const LARGE: readonly string[] = ['', 'k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'];
const SMALL: readonly string[] = ['', 'm', 'u', 'n', 'p', 'f', 'a', 'z', 'y'];

function humanize(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return significant(value);
  const power = Math.floor(Math.log10(Math.abs(value)) / 3);
  const units = power < 0 ? SMALL : LARGE;
  const place = Math.min(Math.abs(power), units.length - 1);
  return `${significant(value / 1_000 ** (place * Math.sign(power)))}${units[place] ?? ''}`;
}

function humanizeDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return String(seconds);
  if (Math.abs(seconds) < 1) return seconds === 0 ? '0s' : `${humanize(seconds)}s`;
  const whole = Math.floor(Math.abs(seconds));
  if (whole < 60) return `${significant(seconds)}s`;
  const parts = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor(whole / 3_600) % 24, 'h'],
    [Math.floor(whole / 60) % 60, 'm'],
    [whole % 60, 's'],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  const shown = parts.slice(first).map(([count, unit]) => `${count}${unit}`);
  return (seconds < 0 ? '-' : '') + shown.join(' ');
}
