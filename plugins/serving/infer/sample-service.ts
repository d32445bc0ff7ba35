import { durationMs } from '@bufbuild/protobuf/wkt';
import type { SampleRule, SampleService } from 'lamella/proto/lamella/serving/v1/sample_service';
import type { ServiceImplementation } from 'lamella/sdk';
import { RequestInvalid } from './errors.ts';
import type { Sampler } from './sampler.ts';

const DEFAULT_LEASE_MS = 30_000;
const LONGEST_LEASE_MS = 600_000;
const MOST_RULES = 1_000;

/** The service over the sampler. */
export function sampleService(sampler: Sampler): ServiceImplementation<typeof SampleService> {
  return {
    takeSamples: ({ rules, lease }) => {
      if (rules.length > MOST_RULES) throw invalid(`there are more than ${MOST_RULES} rules`);
      for (const rule of rules) checkRule(rule);
      const leaseMs = lease === undefined ? DEFAULT_LEASE_MS : durationMs(lease);
      if (leaseMs <= 0 || leaseMs > LONGEST_LEASE_MS)
        throw invalid('lease must be longer than 0 and 10 minutes at most');
      const { samples, dropped, hasMore } = sampler.take(rules, leaseMs);
      return { samples, dropped: BigInt(dropped), hasMore };
    },
  };
}

function checkRule({ model, sampleRate, maxBytes }: SampleRule): void {
  if (model === '') throw invalid("a rule has no model; '*' stands for all");
  if (!(sampleRate > 0 && sampleRate <= 1)) throw invalid(`sample_rate of '${model}' must be over 0 to 1`);
  if (maxBytes < 0n) throw invalid(`max_bytes of '${model}' must not be negative`);
}

function invalid(problem: string): Error {
  return new RequestInvalid({ problem });
}
