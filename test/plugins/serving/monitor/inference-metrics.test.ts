import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { create } from '@bufbuild/protobuf';
import { GRPCInferenceService } from 'lamella/proto/inference/grpc_inference_service';
import {
  type CreateVersionRequest,
  CreateVersionRequestSchema,
  RegistryService,
} from 'lamella/proto/lamella/model/v1/registry_service';
import { AlertState, MonitorService } from 'lamella/proto/lamella/serving/v1/monitor_service';
import type { Client } from 'lamella/sdk';
import { startTestKernel, type TestKernel } from 'lamella/sdk/testing';
import { type Expression, operandsOf } from '../../../../plugins/serving/monitor/promql/expression.ts';
import { parseExpression } from '../../../../plugins/serving/monitor/promql/parse.ts';
import { lightModel } from '../../../e2e/serving-kernel.ts';
import { eventually } from '../../../support/eventually.ts';

interface Dashboard {
  readonly panels: readonly { readonly targets?: readonly { readonly expr: string }[] }[];
}

async function* versionParts(): AsyncGenerator<CreateVersionRequest> {
  yield create(CreateVersionRequestSchema, { part: { case: 'header', value: { model: 'digits' } } });
  yield create(CreateVersionRequestSchema, { part: { case: 'chunk', value: lightModel() } });
}

/** Names of the metrics that an expression reads. */
function metricsIn(expression: Expression): string[] {
  const own =
    expression.kind === 'selector'
      ? expression.matchers.filter(({ label }) => label === '__name__').map(({ value }) => value)
      : [];
  return [...own, ...operandsOf(expression).flatMap(metricsIn)];
}

describe('metrics of inference', function () {
  this.timeout(180_000);
  let kernel: TestKernel | undefined;
  let monitor: Client<typeof MonitorService>;
  let inference: Client<typeof GRPCInferenceService>;

  before(async () => {
    kernel = await startTestKernel({
      plugins: ['model/registry', 'serving/infer', 'serving/monitor'].map((box) =>
        path.resolve('dist/plugins', box),
      ),
      config: { plugins: { 'serving.monitor': { config: { intervalMs: 200, maxSeries: 1_000 } } } },
    });
    const registry = kernel.call(RegistryService);
    const { version } = await registry.createVersion(versionParts());
    await registry.setAlias({ name: 'models/digits/aliases/champion', version: version?.name ?? '' });
    inference = kernel.call(GRPCInferenceService);
    await inference.repositoryModelLoad({ modelName: 'digits' });
    monitor = kernel.call(MonitorService);
  });

  after(() => kernel?.stop());

  async function infer(rows: number, bytes = rows * 784): Promise<unknown> {
    const inputs = [{ name: 'image', datatype: 'UINT8', shape: [BigInt(rows), 28n, 28n] }];
    return inference.modelInfer({ modelName: 'digits', inputs, rawInputContents: [new Uint8Array(bytes)] });
  }

  async function value(expression: string): Promise<number | undefined> {
    return (await monitor.queryMetrics({ expression })).series[0]?.points[0]?.value;
  }

  it('are there, at 0, before the first request', async () => {
    await eventually(async () => (await value('sum(nv_inference_request_success)')) === 0);
    assert.equal(await value('count(nv_inference_request_failure)'), 4);
    assert.equal(await value('sum(nv_inference_request_failure)'), 0);
    assert.equal(await value('sum(nv_inference_compute_output_duration_us)'), 0);
  });

  it('are all that the rules and the dashboard that come with the plugin read', async () => {
    const { text } = await monitor.getMetrics({});
    const { rules } = await monitor.listAlertRules({});
    const file = path.resolve('plugins/serving/monitor/grafana/lamella.json');
    const { panels } = JSON.parse(await readFile(file, 'utf8')) as Dashboard;
    const targets = panels.flatMap((panel) => panel.targets ?? []).map(({ expr }) => expr);
    const expressions = [...rules.map(({ expression }) => expression), ...targets];
    assert.ok(rules.length > 10 && targets.length > 20);
    const declared = new Set(
      [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, kind]) =>
        kind === 'histogram' ? `${name}_bucket` : name,
      ),
    );
    const read = new Set(expressions.flatMap((expression) => metricsIn(parseExpression(expression))));
    assert.deepEqual(
      [...read].filter((name) => !declared.has(name)),
      [],
    );
  });

  it('count as Triton counts', async () => {
    await Promise.all([infer(1), infer(8)]);
    await eventually(async () => (await value('sum(nv_inference_request_success)')) === 2);
    assert.equal(await value('sum(nv_inference_count)'), 9);
    const runs = await value('sum(nv_inference_exec_count)');
    assert.ok(runs === 1 || runs === 2, String(runs));
    assert.equal(await value('sum(lamella_inference_request_seconds_count)'), 2);
    const parts =
      'nv_inference_queue_duration_us + nv_inference_compute_input_duration_us + nv_inference_compute_infer_duration_us + nv_inference_compute_output_duration_us';
    const phases = '{phase=~"queue|compute_input|compute_infer|compute_output"}';
    assert.equal(await value(`min(lamella_inference_phase_seconds_count${phases})`), 2);
    assert.equal(await value(`count(lamella_inference_phase_seconds_count${phases})`), 4);
    const split = 'sum(lamella_inference_request_seconds_sum) - sum(lamella_inference_phase_seconds_sum)';
    assert.ok(Math.abs((await value(split)) ?? Number.NaN) < 1e-6);
    const whole = (await value(`nv_inference_request_duration_us - (${parts})`)) ?? Number.NaN;
    assert.ok(Math.abs(whole) < 1, String(whole));
  });

  it('tell of the load and of the machine as Triton does', async () => {
    assert.ok(((await value('sum(nv_model_load_duration_secs)')) ?? 0) > 0);
    await eventually(async () => {
      const busy = await value('nv_cpu_utilization');
      return busy !== undefined && busy >= 0 && busy <= 1;
    });
    assert.ok(((await value('nv_cpu_memory_total_bytes - nv_cpu_memory_used_bytes')) ?? 0) > 0);
  });

  it('make the rule for errors pending as soon as requests fail', async () => {
    await assert.rejects(infer(1, 5));
    await eventually(async () => {
      const { alerts } = await monitor.listAlerts({});
      return alerts.some(
        ({ labels, state }) => labels['alertname'] === 'InferenceErrorsHigh' && state === AlertState.PENDING,
      );
    });
    const { rules } = await monitor.listAlertRules({});
    assert.deepEqual(
      rules.filter(({ problem }) => problem !== ''),
      [],
    );
  });
});
