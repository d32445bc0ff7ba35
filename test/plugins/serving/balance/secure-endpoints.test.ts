import assert from 'node:assert/strict';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { HealthCheck } from 'lamella/proto/lamella/serving/v1/balance_service';
import { startTestKernel, type TestKernel } from '../../../../sdk/testing/index.ts';
import { eventually } from '../../../support/eventually.ts';
import { rejection } from '../infer-subject.ts';
import { BalanceSubject, PLUGINS } from './balance-subject.ts';
import { answerOf } from './inference-server.ts';

describe('endpoints that ask for something', function () {
  this.timeout(60_000);
  let subject: BalanceSubject;
  let other: TestKernel;

  before(async () => {
    other = await startTestKernel({ plugins: PLUGINS });
    subject = await BalanceSubject.start(['one'], {
      rights: { secrets: ['SERVING_TOKEN'] },
      secrets: { SERVING_TOKEN: 'TEST_SERVING_TOKEN' },
      environment: { ...process.env, TEST_SERVING_TOKEN: 'open-sesame' },
      also: [other.addresses.grpc],
    });
  });
  after(async () => {
    await subject?.stop();
    await other?.stop();
  });

  it('are sent the token of a secret, and never the credentials of the caller', async () => {
    const seen: unknown[] = [];
    const one = subject.server('one');
    one.behaviour = ({ metadata }) => {
      seen.push(metadata.get('authorization'));
      return answerOf('one');
    };
    const endpoints = [{ address: one.address, tokenSecret: 'SERVING_TOKEN' }];
    await subject.set({ model: 'guarded', splits: [{ label: 'stable', weight: 1, endpoints }] });
    await subject.set({ model: 'open', splits: [subject.split('stable', 1, 'one')] });
    const headers = [['authorization', 'Bearer of-the-caller']] as const;
    await subject.who('guarded', {}, { headers });
    await subject.who('open', {}, { headers });
    assert.deepEqual(seen, [['Bearer open-sesame'], []]);
  });

  it('are not sent a token without TLS beyond this machine, nor one that was not granted', async () => {
    const set = (address: string, tokenSecret: string): Promise<{ message: string }> =>
      rejection(() =>
        subject.set({
          model: 'x',
          splits: [{ label: 'stable', weight: 1, endpoints: [{ address, tokenSecret, plaintext: true }] }],
        }),
      );
    assert.match((await set('10.0.0.1:8001', 'SERVING_TOKEN')).message, /the token for .* needs tls/);
    assert.match((await set(subject.server('one').address, 'OTHER')).message, /may not use 'OTHER'/);
  });

  it('may be kernels, asked by grpc.health.v1, and what they lack is said', async () => {
    const address = other.addresses.grpc;
    const splits = [{ label: 'stable', weight: 1, endpoints: [{ address }] }];
    const health = { check: HealthCheck.GRPC_HEALTH, interval: durationFromMs(20), unhealthyThreshold: 1 };
    await subject.set({ model: 'elsewhere', splits, health });
    const { message } = await rejection(() => subject.who('elsewhere'));
    assert.match(message, /Request for unknown model: 'elsewhere'/);
    assert.ok((await subject.endpoints('elsewhere')).every(({ available }) => available));
    await other.unload('serving.infer');
    await eventually(async () => (await subject.endpoints('elsewhere')).every(({ available }) => !available));
    const [endpoint] = await subject.endpoints('elsewhere');
    assert.equal(endpoint?.reason, 'it does not provide inference any more');
  });
});
