/** Milliseconds of a clock that never jumps and that all threads of a process share; it says nothing of the time of day. */
export function steadyMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
