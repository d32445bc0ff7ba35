const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
};
const FORM = /^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/;

/** Reads a duration as Prometheus writes it, for example `1h30m`, in milliseconds; `undefined` when it is none. */
export function parseDurationMs(text: string): number | undefined {
  if (text === '0') return 0;
  if (text === '' || !FORM.test(text)) return undefined;
  let totalMs = 0;
  for (const [, count = '', unit = ''] of text.matchAll(/(\d+)(ms|[smhdwy])/g)) {
    totalMs += Number(count) * (UNITS[unit] ?? Number.NaN);
  }
  return Number.isSafeInteger(totalMs) ? totalMs : undefined;
}

/** Writes a duration in the largest unit that is exact, for example `90s` for 90,000. */
export function formatDurationMs(durationMs: number): string {
  if (durationMs === 0) return '0s';
  const unit = ['d', 'h', 'm', 's'].find((name) => durationMs % (UNITS[name] ?? 1) === 0) ?? 'ms';
  return `${durationMs / (UNITS[unit] ?? 1)}${unit}`;
}
