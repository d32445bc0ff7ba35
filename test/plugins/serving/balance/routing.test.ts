import assert from 'node:assert/strict';
import { status } from '@grpc/grpc-js';
import { BalancePolicy } from 'lamella/proto/lamella/serving/v1/balance_service';
import { GRPCInferenceService } from 'lamella/proto/inference/grpc_inference_service';
import { rejection } from '../infer-subject.ts';
import { GrpcClient } from '../../../support/grpc-client.ts';
import { answerOf, failure } from './inference-server.ts';
import { BalanceSubject, text, type TrafficInit, YES } from './balance-subject.ts';

describe('the way of a balanced request', function () {
  this.timeout(60_000);
  let subject: BalanceSubject;

  before(async () => {
    subject = await BalanceSubject.start(['one', 'two', 'three']);
  });
  after(() => subject.stop());

  const shared = (): NonNullable<TrafficInit['splits']> => [
    subject.split('stable', 1, 'one'),
    subject.split('next', 1, 'two'),
  ];

  it('gives a sticky key the same split each time, by parameter and by header of any client', async () => {
    await subject.set({
      model: 'sticky',
      splits: shared(),
      stickyKey: { source: { case: 'parameter', value: 'user' } },
    });
    const byUser = await Promise.all(
      Array.from({ length: 20 }, (_, user) =>
        subject.whoOften('sticky', 3, () => ({ parameters: { user: text(`user-${user}`) } })),
      ),
    );
    assert.ok(byUser.every((counts) => Object.keys(counts).length === 1));
    assert.deepEqual([...new Set(byUser.flatMap((counts) => Object.keys(counts)))].toSorted(), [
      'one',
      'two',
    ]);

    const model = 'sticky-header';
    await subject.set({
      model,
      splits: shared(),
      stickyKey: { source: { case: 'header', value: 'x-user' } },
    });
    const client = new GrpcClient(subject.kernel.addresses.grpc);
    try {
      for (const user of ['ada', 'bob', 'cyd']) {
        const splits = new Set<unknown>();
        for (let index = 0; index < 4; index += 1) {
          const headers = { 'x-user': user };
          const { answer } = await client.unary(
            GRPCInferenceService.method.modelInfer,
            { modelName: model },
            { headers },
          );
          splits.add(Buffer.from(answer.rawOutputContents[0] ?? []).toString());
        }
        assert.equal(splits.size, 1);
      }
    } finally {
      client.close();
    }
  });

  it('lets a request name its split or the version of one, and says which there are', async () => {
    const [stable, next] = shared();
    await subject.set({ model: 'named', splits: [{ ...stable }, { ...next, weight: 0, version: '7' }] });
    assert.equal(await subject.who('named', { modelVersion: 'next' }), 'two');
    assert.equal(await subject.who('named', { modelVersion: '7' }), 'two');
    assert.deepEqual(await subject.whoOften('named', 5), { one: 5 });
    const { message } = await rejection(() => subject.who('named', { modelVersion: '9' }));
    assert.match(message, /'named' version 9 is no split of its traffic; there is: stable, next/);
  });

  it('sends the same key to the same endpoint by its hash', async () => {
    await subject.set({
      model: 'hashed',
      splits: [subject.split('stable', 1, 'one', 'two', 'three')],
      policy: BalancePolicy.CONSISTENT_HASH,
      hashKey: { source: { case: 'parameter', value: 'session' } },
    });
    const homes = new Set<string>();
    // Of 100, that one of three endpoints gets none is a chance of 1 in 10^17; of 20 it is 1 in 1,000.
    for (let session = 0; session < 100; session += 1) {
      const parameters = { session: text(String(session)) };
      const counts = await subject.whoOften('hashed', 2, () => ({ parameters }));
      assert.equal(Object.keys(counts).length, 1);
      homes.add(Object.keys(counts)[0] ?? '');
    }
    assert.equal(homes.size, 3);
  });

  it('keeps a sequence at its endpoint until its end, also when the traffic is set again', async () => {
    const traffic = {
      model: 'sequences',
      splits: [subject.split('stable', 1, 'one', 'two', 'three')],
      policy: BalancePolicy.ROUND_ROBIN,
    };
    await subject.set(traffic);
    const step = (id: string, more: object = {}): Promise<string> =>
      subject.who('sequences', { parameters: { sequence_id: text(id), ...more } });
    const home = await step('a', { sequence_start: YES });
    const other = await step('b', { sequence_start: YES });
    assert.notEqual(home, other);
    await subject.set(traffic);
    for (let index = 0; index < 4; index += 1) {
      assert.equal(await step('a'), home);
      assert.equal(await step('b'), other);
    }
    assert.equal(await step('a', { sequence_end: YES }), home);

    await subject.set({ ...traffic, splits: [subject.split('stable', 1, home)] });
    const { message } = await rejection(() => step('b'));
    assert.match(message, /does not answer \(it is no endpoint any more\); start the sequence again/);
  });

  it('tells of a failure within a stream, also of a server that gives no reason, and goes on', async () => {
    const one = subject.server('one');
    await subject.set({ model: 'failing', splits: [subject.split('stable', 1, 'one')] });
    one.behaviour = ({ request }) => {
      if (request.id === '1') throw failure(status.INVALID_ARGUMENT);
      return answerOf('one');
    };
    async function* requests(): AsyncGenerator<{ modelName: string; id: string }> {
      for (const id of ['0', '1', '2']) yield { modelName: 'failing', id };
    }
    const texts: string[] = [];
    for await (const answer of subject.kernel.call(GRPCInferenceService).modelStreamInfer(requests()))
      texts.push(answer.errorMessage);
    assert.deepEqual(texts, ['', 'it cannot', '']);
  });
});
