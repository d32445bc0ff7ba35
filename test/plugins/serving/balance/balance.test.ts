import assert from 'node:assert/strict';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { status } from '@grpc/grpc-js';
import { BalancePolicy, HealthCheck } from 'lamella/proto/lamella/serving/v1/balance_service';
import { GRPCInferenceService } from 'lamella/proto/inference/grpc_inference_service';
import { GrpcClient } from '../../../support/grpc-client.ts';
import { eventually } from '../../../support/eventually.ts';
import { rejection } from '../infer-subject.ts';
import { BalanceSubject } from './balance-subject.ts';
import { failure } from './inference-server.ts';

describe('serving.balance', function () {
  this.timeout(60_000);
  let subject: BalanceSubject;

  before(async () => {
    subject = await BalanceSubject.start(['one', 'two', 'three']);
  });
  after(() => subject.stop());

  it('answers unmodified clients by several servers in turn', async () => {
    const splits = [subject.split('stable', 1, 'one', 'two')];
    await subject.set({ model: 'turns', splits, policy: BalancePolicy.ROUND_ROBIN });
    const client = new GrpcClient(subject.kernel.addresses.grpc);
    try {
      const names: string[] = [];
      for (let index = 0; index < 4; index += 1) {
        const { answer } = await client.unary(GRPCInferenceService.method.modelInfer, { modelName: 'turns' });
        assert.equal(answer.modelName, 'turns');
        names.push(
          Buffer.from(answer.rawOutputContents[0] ?? [])
            .subarray(4)
            .toString(),
        );
      }
      assert.deepEqual(names.toSorted(), ['one', 'one', 'two', 'two']);
      assert.notEqual(names[0], names[1]);
    } finally {
      client.close();
    }
  });

  it('answers streams, each request by itself, and names the model that has no traffic', async () => {
    await subject.set({
      model: 'streamed',
      splits: [subject.split('stable', 1, 'one', 'two')],
      policy: BalancePolicy.ROUND_ROBIN,
    });
    async function* requests(): AsyncGenerator<{ modelName: string; id: string }> {
      for (let index = 0; index < 6; index += 1) yield { modelName: 'streamed', id: String(index) };
      yield { modelName: 'nobody-has-it', id: 'x' };
    }
    const names: Record<string, number> = {};
    const problems: string[] = [];
    for await (const answer of subject.kernel.call(GRPCInferenceService).modelStreamInfer(requests())) {
      if (answer.errorMessage !== '') problems.push(answer.errorMessage);
      else {
        const name = Buffer.from(answer.inferResponse?.rawOutputContents[0] ?? [])
          .subarray(4)
          .toString();
        names[name] = (names[name] ?? 0) + 1;
      }
    }
    assert.deepEqual(names, { one: 3, two: 3 });
    assert.equal(problems.length, 1);
    assert.match(problems[0] ?? '', /unknown model: 'nobody-has-it'/);
  });

  it('leaves out a server that only fails, and takes it back after its time', async () => {
    const two = subject.server('two');
    const usual = two.behaviour;
    const failed = async (ejectionMs: number): Promise<number> => {
      two.behaviour = () => {
        throw failure(status.INTERNAL);
      };
      await subject.set({
        model: 'ejecting',
        splits: [subject.split('stable', 1, 'one', 'two')],
        policy: BalancePolicy.ROUND_ROBIN,
        outlier: { consecutiveFailures: 3, ejectionTime: durationFromMs(ejectionMs) },
      });
      const results = await Promise.allSettled(Array.from({ length: 6 }, () => subject.who('ejecting')));
      return results.filter(({ status: end }) => end === 'rejected').length;
    };
    assert.equal(await failed(60_000), 3);
    const ejected = (await subject.endpoints('ejecting')).filter(({ available }) => !available);
    assert.deepEqual(
      ejected.map(({ address, reason }) => [address, reason]),
      [[two.address, '3 requests in a row failed']],
    );
    assert.deepEqual(await subject.whoOften('ejecting', 4), { one: 4 });
    assert.equal(await failed(1), 3);
    two.behaviour = usual;
    await eventually(async () => (await subject.who('ejecting')) === 'two');
  });

  it('asks servers whether they have the model', async () => {
    const three = subject.server('three');
    three.isReady = false;
    await subject.set({
      model: 'asked',
      splits: [subject.split('stable', 1, 'one', 'three')],
      policy: BalancePolicy.ROUND_ROBIN,
      health: { check: HealthCheck.MODEL_READY, interval: { nanos: 20_000_000 }, unhealthyThreshold: 1 },
    });
    await eventually(async () => (await subject.endpoints('asked')).some(({ available }) => !available));
    assert.deepEqual(await subject.whoOften('asked', 4), { one: 4 });
    three.isReady = true;
    await eventually(async () => (await subject.endpoints('asked')).every(({ available }) => available));
    assert.deepEqual(await subject.whoOften('asked', 4), { one: 2, three: 2 });
  });

  it('shows its endpoints in the metrics', async () => {
    await subject.set({ model: 'measured', splits: [subject.split('stable', 1, 'one')] });
    await subject.whoOften('measured', 3);
    const { address } = subject.server('one');
    const labels = `model="measured",split="stable",endpoint="${address}"`;
    await eventually(async () => {
      const answer = await fetch(`http://${subject.kernel.addresses.metrics}/metrics`);
      const text = await answer.text();
      const has = (name: string, value: number): boolean =>
        text.split('\n').some((line) => {
          const isOf = line.startsWith(`lamella_balance_${name}{`) && line.endsWith(` ${value}`);
          return isOf && labels.split(',').every((label) => line.includes(label));
        });
      return (
        has('requests_total', 3) &&
        has('request_seconds_count', 3) &&
        has('in_flight', 0) &&
        has('endpoint_available', 1) &&
        has('ejections', 0)
      );
    });
  });

  it('refuses traffic that makes no sense or leads where the plugin may not go', async () => {
    const wrong = await rejection(() => subject.set({ model: 'x', splits: [] }));
    assert.match(wrong.message, /traffic.splits must be 1 to 16/);
    const denied = await rejection(() =>
      subject.set({
        model: 'x',
        splits: [{ label: 'stable', weight: 1, endpoints: [{ address: '127.0.0.1:9' }] }],
      }),
    );
    assert.match(denied.message, /may not use '127.0.0.1:9' \(capability network\)/);
    const open = await rejection(() =>
      subject.set({
        model: 'x',
        splits: [{ label: 'stable', weight: 1, endpoints: [{ address: '10.0.0.1:8001' }] }],
      }),
    );
    assert.match(open.message, /has no TLS/);
  });
});
