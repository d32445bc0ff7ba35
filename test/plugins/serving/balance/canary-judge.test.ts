import assert from 'node:assert/strict';
import { type ArmResult, judge } from '../../../../plugins/serving/balance/canary-judge.ts';
import type { CanarySettings } from '../../../../plugins/serving/balance/settings.ts';

const SETTINGS: CanarySettings = {
  candidate: 'canary',
  baseline: 'stable',
  steps: [10, 100],
  intervalMs: 1_000,
  minRequests: 100,
  maxFailureIncrease: 0.01,
  maxP99Factor: 1.5,
  isManual: false,
};

const arm = (requests: number, failures: number, p99Ms?: number): ArmResult => ({
  requests,
  failures,
  p99Ms,
});

describe('the judgement of a canary', () => {
  const cases: readonly {
    what: string;
    candidate: ArmResult;
    baseline: ArmResult;
    stepMs: number;
    verdict: string;
  }[] = [
    {
      what: 'that is new',
      candidate: arm(5, 5),
      baseline: arm(100, 0),
      stepMs: 10,
      verdict: 'wait',
    },
    {
      what: 'that fails every request',
      candidate: arm(10, 10),
      baseline: arm(100, 0),
      stepMs: 10,
      verdict: 'rollback',
    },
    {
      what: 'that fails every request while there is no baseline',
      candidate: arm(10, 10),
      baseline: arm(0, 0),
      stepMs: 10,
      verdict: 'rollback',
    },
    {
      what: 'that had one failure early',
      candidate: arm(12, 1),
      baseline: arm(1_000, 0),
      stepMs: 10,
      verdict: 'wait',
    },
    {
      what: 'with too few requests at the end of its step',
      candidate: arm(99, 0),
      baseline: arm(100, 0),
      stepMs: 5_000,
      verdict: 'wait',
    },
    {
      what: 'that fails as often as the baseline',
      candidate: arm(200, 10),
      baseline: arm(2_000, 100),
      stepMs: 5_000,
      verdict: 'advance',
    },
    {
      what: 'that fails clearly more often',
      candidate: arm(200, 12),
      baseline: arm(2_000, 20),
      stepMs: 5_000,
      verdict: 'rollback',
    },
    {
      what: 'that is half as slow again',
      candidate: arm(200, 0, 14),
      baseline: arm(200, 0, 10),
      stepMs: 5_000,
      verdict: 'advance',
    },
    {
      what: 'that is twice as slow',
      candidate: arm(200, 0, 20),
      baseline: arm(200, 0, 10),
      stepMs: 5_000,
      verdict: 'rollback',
    },
    {
      what: 'that is a little slower than next to nothing',
      candidate: arm(200, 0, 1),
      baseline: arm(200, 0, 0.1),
      stepMs: 5_000,
      verdict: 'advance',
    },
  ];
  for (const { what, candidate, baseline, stepMs, verdict } of cases) {
    it(`of one ${what} is to ${verdict}`, () => {
      assert.equal(judge(SETTINGS, { candidate, baseline }, stepMs).kind, verdict);
    });
  }
});
