import type { Readiness, ReadinessReport } from '../readiness.ts';
import { HttpPathNotFound } from './http-errors.ts';
import type { MountHandler } from './http-mounts.ts';

/** Prefix of the probes. */
export const PROBES_PREFIX = '/healthz';

const LIVE = { isReady: true, reasons: [] };

/**
 * `GET /healthz/live` and `GET /healthz/ready` for orchestrators: 200 or 503, and why in JSON. Live means that the
 * process works, also while it starts and drains: whoever restarts it for less would end the calls that run.
 */
export function createProbes(readiness: Readiness): MountHandler {
  return (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === `${PROBES_PREFIX}/live`) return answer(LIVE);
    if (pathname === `${PROBES_PREFIX}/ready`) return answer(readiness.report);
    throw new HttpPathNotFound({
      path: pathname.slice(0, 200),
      known: `${PROBES_PREFIX}/live, ${PROBES_PREFIX}/ready`,
    });
  };
}

function answer({ isReady, reasons }: ReadinessReport): Response {
  return Response.json(
    { status: isReady ? 'SERVING' : 'NOT_SERVING', reasons },
    { status: isReady ? 200 : 503, headers: { 'cache-control': 'no-store' } },
  );
}
