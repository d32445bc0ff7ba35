import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus as ServingStatus,
  HealthCheckResponseSchema,
} from '../../proto/gen/grpc/health/v1/health_pb.ts';
import { Code } from '../../sdk/index.ts';
import type { Link } from '../link/link-client.ts';
import { StatusError } from '../status-error.ts';

const CHECK_PATH = '/grpc.health.v1.Health/Check';

/** A server that was asked says that it does not serve; nothing is gained by asking again. */
export class NotServing extends Error {}

/** Asks a server whether it serves certain services, by `grpc.health.v1`. */
export class EndpointHealth {
  readonly #services: readonly string[];
  /** Services of which the server has told before: when it does not know one of them any more, it is gone. */
  readonly #told: Set<string> = new Set();

  constructor(services: readonly string[]) {
    this.#services = services;
  }

  /**
   * @throws what keeps the server from serving. One without a health service serves; of one that tells only for itself
   * as a whole, that counts.
   */
  async check(link: Link, limitMs: number): Promise<void> {
    try {
      await Promise.all(this.#services.map((service) => this.#checkOne(link, service, limitMs)));
    } catch (error) {
      if (!(error instanceof StatusError) || error.code !== Code.UNIMPLEMENTED) throw error;
    }
  }

  async #checkOne(link: Link, service: string, limitMs: number): Promise<void> {
    try {
      await ask(link, service, limitMs);
      this.#told.add(service);
    } catch (error) {
      const isUnknown = error instanceof StatusError && error.code === Code.NOT_FOUND;
      if (!isUnknown) throw error;
      if (this.#told.has(service)) throw new NotServing(`it does not provide ${service} any more`);
      await ask(link, '', limitMs);
    }
  }
}

async function ask(link: Link, service: string, limitMs: number): Promise<void> {
  const request = toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, { service }));
  const { message } = await link.unary(CHECK_PATH, request, { deadlineMs: Date.now() + limitMs });
  const { status } = fromBinary(HealthCheckResponseSchema, message);
  if (status === ServingStatus.SERVING) return;
  const what = service === '' ? '' : ` for ${service}`;
  throw new NotServing(`its health service does not answer SERVING${what}`);
}
