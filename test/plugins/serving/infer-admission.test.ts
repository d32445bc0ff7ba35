import assert from 'node:assert/strict';
import { AdaptiveLimit } from '../../../plugins/serving/infer/adaptive-limit.ts';
import { Admission } from '../../../plugins/serving/infer/admission.ts';
import { BatchEntry, type BatchRequest } from '../../../plugins/serving/infer/batch-entry.ts';
import { plainQueue } from '../../../plugins/serving/infer/queue-policy.ts';
import { WaitEstimate } from '../../../plugins/serving/infer/wait-estimate.ts';

const BOUNDS = { floor: 16, ceiling: 2_000 };

/** Answers so many batches that each took so long. */
function answered(limit: AdaptiveLimit, count: number, tookMs: number): void {
  for (let index = 0; index < count; index += 1) limit.sample(tookMs, limit.value);
}

function requestWith(deadlineMs?: number): BatchRequest {
  return { tensors: {}, rows: 1, key: '', deadlineMs, cancelError: () => new Error('gone') };
}

describe('the adaptive limit of requests', () => {
  it('lets in what the queue allows while answers take as long as usual', () => {
    const limit = new AdaptiveLimit(BOUNDS);
    answered(limit, 200, 5);
    assert.equal(limit.value, BOUNDS.ceiling);
  });

  it('shrinks when answers take far longer than usual, never below what keeps the slots busy', () => {
    const limit = new AdaptiveLimit(BOUNDS);
    answered(limit, 50, 5);
    answered(limit, 50, 100);
    assert.ok(limit.value < 200, `it is ${limit.value}`);
    answered(limit, 20, 10_000);
    assert.ok(limit.value >= BOUNDS.floor);
  });

  it('grows again once they are fast again', () => {
    const limit = new AdaptiveLimit(BOUNDS);
    answered(limit, 50, 5);
    answered(limit, 50, 100);
    const shrunk = limit.value;
    answered(limit, 200, 5);
    assert.ok(limit.value > 2 * shrunk, `it went from ${shrunk} to ${limit.value}`);
  });

  it('takes a crowd that stays for usual', () => {
    const limit = new AdaptiveLimit(BOUNDS);
    answered(limit, 50, 5);
    answered(limit, 5_000, 20);
    assert.ok(limit.value > 500, `it is ${limit.value}`);
  });
});

describe('the estimate of a wait', () => {
  it('is the time in which so many rows left while others waited', () => {
    const wait = new WaitEstimate();
    assert.equal(wait.waitMs(100), 0);
    for (let nowMs = 0; nowMs <= 100; nowMs += 10) wait.answered(20, nowMs, true);
    assert.equal(wait.waitMs(100), 50);
  });

  it('learns nothing from batches that came when nobody waited', () => {
    const wait = new WaitEstimate();
    for (let nowMs = 0; nowMs <= 1_000; nowMs += 100) wait.answered(1, nowMs, false);
    assert.equal(wait.waitMs(100), 0);
  });
});

describe('the admission of requests', () => {
  const admission = (): Admission =>
    new Admission({
      model: 'm',
      slots: 1,
      maxBatchRows: 4,
      policies: { ...plainQueue(100), isAdaptive: true },
    });
  const reasonOf = (error: Error | undefined): string | undefined => error?.name;

  it('lets in without a deadline and with one that can be kept', () => {
    const subject = admission();
    assert.equal(subject.refusal(requestWith(), { size: 50, rows: 50 }, 1), undefined);
    assert.equal(subject.refusal(requestWith(Date.now() + 60_000), { size: 50, rows: 50 }, 1), undefined);
  });

  it('refuses at once what would wait beyond its deadline, with the delay after which to try again', () => {
    const subject = admission();
    const error = subject.refusal(requestWith(Date.now() + 100), { size: 50, rows: 50 }, 60_000);
    assert.equal(reasonOf(error), 'QUEUE_FULL');
    assert.equal((error as { readonly retryAfterMs?: number }).retryAfterMs, 100);
    assert.equal(error?.stack?.includes('\n    at '), false);
  });

  it('counts what runs, and is full at the limit', () => {
    const subject = admission();
    const batch = Array.from(
      { length: 4 },
      () => new BatchEntry(requestWith(), { resolve: () => undefined, reject: () => undefined }),
    );
    subject.begin(batch);
    assert.equal(subject.refusal(requestWith(), { size: 99, rows: 99 }, 1), undefined);
    assert.equal(reasonOf(subject.refusal(requestWith(), { size: 100, rows: 100 }, 1)), 'QUEUE_FULL');
    subject.end(batch, { size: 100, rows: 100 });
    assert.equal(subject.refusal(requestWith(), { size: 100, rows: 100 }, 1), undefined);
  });
});
