import assert from 'node:assert/strict';
import { type Feedback, FeedbackService } from 'lamella/proto/lamella/app/v1/feedback_service';
import type { Client } from 'lamella/sdk';
import type { FeedbackConfig } from '../../../plugins/app/feedback/config.ts';
import feedbackPlugin from '../../../plugins/app/feedback/plugin.ts';
import { FakeHost } from '../../support/fake-host.ts';
import { correction, FeedbackServices, reason } from './feedback-services.ts';

describe('feedback', () => {
  let host: FakeHost<FeedbackConfig>;
  let client: Client<typeof FeedbackService>;

  beforeEach(async () => {
    host = new FakeHost<FeedbackConfig>({
      config: { maxFeedbackBytes: 64, servingAlias: 'champion' },
      nowMs: 1_000,
    });
    new FeedbackServices().provideTo(host as FakeHost);
    client = (await host.start(feedbackPlugin)).client(FeedbackService);
  });
  afterEach(() => host.close());

  async function record(more: Parameters<typeof correction>[0] = {}): Promise<Feedback> {
    const { feedback } = await client.recordFeedback(correction(more));
    assert.ok(feedback !== undefined);
    return feedback;
  }

  async function names(parent = 'models/dots'): Promise<string[]> {
    const { feedback } = await client.listFeedback({ parent });
    return feedback.map(({ name }) => name);
  }

  it('keeps what was recorded as it came', async () => {
    const recorded = await record({ modelVersion: 'models/dots/versions/7' });
    const { feedback } = await client.listFeedback({ parent: 'models/dots' });
    assert.deepEqual(feedback, [recorded]);
    assert.equal(recorded.name, 'models/dots/feedback/1');
    assert.deepEqual(recorded.input?.data, Uint8Array.of(1, 2, 3, 4));
    assert.deepEqual(
      [recorded.predicted, recorded.correct, recorded.modelVersion],
      ['1', '2', 'models/dots/versions/7'],
    );
  });

  it('returns the first feedback again for a request id that comes twice, also at once', async () => {
    const twice = await Promise.all([record({ requestId: 'a' }), record({ requestId: 'a', correct: '0' })]);
    assert.deepEqual(twice[0], twice[1]);
    assert.equal(twice[1].correct, '2');
    await record({ requestId: 'b' });
    assert.equal((await names()).length, 2);
  });

  it('gives each of many feedbacks that come at once a number of its own', async () => {
    const many = await Promise.all(Array.from({ length: 20 }, () => record()));
    assert.equal(new Set(many.map(({ name }) => name)).size, 20);
  });

  it('stores nothing and goes on counting when the disk is full', async () => {
    host.storage.beforeWrite = (key) => {
      if (key.startsWith('feedback/')) throw new Error('no space left');
    };
    await assert.rejects(record(), /no space left/);
    host.storage.beforeWrite = () => undefined;
    assert.deepEqual(await names(), []);
    assert.equal((await record()).name, 'models/dots/feedback/2');
  });

  it('lists the newest first, of one model or of all', async () => {
    await record();
    host.nowMs = 2_000;
    await record({ model: 'other' });
    host.nowMs = 3_000;
    await record();
    assert.deepEqual(await names(), ['models/dots/feedback/2', 'models/dots/feedback/1']);
    assert.deepEqual(await names('models/-'), [
      'models/dots/feedback/2',
      'models/other/feedback/1',
      'models/dots/feedback/1',
    ]);
    assert.deepEqual(await names('models/dot'), []);
  });

  it('pages through all feedback, also when the last one of a page was deleted', async () => {
    for (let count = 0; count < 12; count += 1) await record();
    const seen: string[] = [];
    let pageToken = '';
    do {
      const page = await client.listFeedback({ parent: 'models/dots', pageSize: 5, pageToken });
      seen.push(...page.feedback.map(({ name }) => name));
      pageToken = page.nextPageToken;
      if (pageToken !== '') await client.deleteFeedback({ name: seen.at(-1) ?? '' });
    } while (pageToken !== '');
    assert.deepEqual(
      seen,
      Array.from({ length: 12 }, (_, index) => `models/dots/feedback/${12 - index}`),
    );
  });

  it('deletes one feedback and never gives its name out again', async () => {
    const { name } = await record();
    await client.deleteFeedback({ name });
    assert.deepEqual(await names(), []);
    await assert.rejects(client.deleteFeedback({ name }), reason('FEEDBACK_NOT_FOUND'));
    await assert.rejects(client.deleteFeedback({ name: '../../etc' }), reason('FEEDBACK_NOT_FOUND'));
    assert.equal((await record()).name, 'models/dots/feedback/2');
  });

  const input = { name: 'image', datatype: 'UINT8', shape: [2n, 2n], data: new Uint8Array(4) };
  const wrong: readonly [string, Parameters<typeof correction>[0], RegExp][] = [
    ['no right answer', { correct: '' }, /correct must hold/],
    ['an empty input', { input: { ...input, data: new Uint8Array() } }, /input must hold/],
    [
      'an input above the limit',
      { input: { ...input, shape: [65n], data: new Uint8Array(65) } },
      /limit is 64/,
    ],
    ['a datatype other than UINT8', { input: { ...input, datatype: 'FP32' } }, /'FP32'/],
    ['a shape that does not fit the bytes', { input: { ...input, shape: [3n] } }, /needs 3 bytes, 4 came/],
    ['sizes below zero', { input: { ...input, shape: [-2n, -2n] } }, /below 1/],
    ['a model name with a slash', { model: 'a/b' }, /'a\/b' is not a model name/],
    ['the name that means all models', { model: '-' }, /not a model name/],
    ['an endless request id', { requestId: 'x'.repeat(201) }, /request_id/],
  ];
  for (const [what, more, problem] of wrong) {
    it(`refuses ${what} and stores nothing`, async () => {
      await assert.rejects(client.recordFeedback(correction(more)), reason('FEEDBACK_INVALID', problem));
      assert.deepEqual(await names(), []);
    });
  }

  it('refuses a parent and a page token that it never gave out', async () => {
    await assert.rejects(client.listFeedback({ parent: '' }), reason('FEEDBACK_INVALID'));
    await assert.rejects(
      client.listFeedback({ parent: 'models/dots', pageToken: 'x' }),
      reason('FEEDBACK_INVALID', /page_token/),
    );
  });
});
