import { type Duration, durationMs } from '@bufbuild/protobuf/wkt';
import { TrafficInvalid } from './errors.ts';

/** @throws TRAFFIC_INVALID */
export function refuse(problem: string): never {
  throw new TrafficInvalid({ problem: `${problem}.` });
}

/** A duration in milliseconds. @throws TRAFFIC_INVALID unless it is between 1 ms and a day */
export function millisecondsOf(duration: Duration | undefined, otherwise: number, field: string): number {
  if (duration === undefined) return otherwise;
  const ms = durationMs(duration);
  return ms >= 1 && ms <= 86_400_000 ? ms : refuse(`traffic.${field} must be between 1 ms and a day`);
}

/** A number that means its default when it is 0. @throws TRAFFIC_INVALID above the limit */
export function numberOf(
  value: number,
  otherwise: number,
  { field, most }: { field: string; most: number },
): number {
  if (value > most) refuse(`traffic.${field} is above ${most}`);
  return value === 0 ? otherwise : value;
}
