import { setTimeout as wait } from 'node:timers/promises';
import type { ServiceImplementation } from 'lamella/sdk';
import type { EchoService } from './gen/echo/v1/echo_service_pb.ts';

/** EchoService; `version` is sent back so that callers can see which copy answered. */
export function createEchoService(version: string): ServiceImplementation<typeof EchoService> {
  return {
    say: async ({ payload, delayMs }, context) => {
      // The signal is made when it is first read, so it is read only where there is something to cancel.
      if (delayMs > 0) await wait(delayMs, undefined, { signal: context.signal });
      return { payload, version };
    },
    async *repeat({ payload, count }) {
      for (let sent = 0; sent < count; sent += 1) yield { payload };
    },
    join: async (requests) => {
      const payloads: Uint8Array[] = [];
      for await (const { payload } of requests) payloads.push(payload);
      return { payload: Buffer.concat(payloads) };
    },
    async *chat(requests) {
      for await (const { payload } of requests) yield { payload, version };
    },
  };
}
