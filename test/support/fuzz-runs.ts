const asked = Number(process.env['LAMELLA_FUZZ_RUNS']);
const isAsked = Number.isSafeInteger(asked) && asked > 0;

/**
 * How often a property is tried: `LAMELLA_FUZZ_RUNS`, or what is enough for every change. fast-check prints the seed of a
 * failure, by which it is found again.
 */
export function fuzzRuns(usual: number): number {
  return isAsked ? asked : usual;
}

/** Time limit of a suite of properties, in milliseconds; none for as many runs as somebody asks for. */
export const FUZZ_TIMEOUT_MS: number = isAsked ? 0 : 60_000;
