import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { Code } from 'lamella/sdk';
import {
  LogSettingsRequestSchema,
  TraceSettingRequestSchema,
} from 'lamella/proto/inference/grpc_inference_service';
import { InferLog } from '../../../plugins/serving/infer/infer-log.ts';
import { Tracer } from '../../../plugins/serving/infer/tracer.ts';
import { FakeHost } from '../../support/fake-host.ts';
import { callContext } from './infer-fixture.ts';
import { InferSubject, rawRequest, rejection } from './infer-subject.ts';

type TraceRequest = MessageInitShape<typeof TraceSettingRequestSchema>;
type LogRequest = MessageInitShape<typeof LogSettingsRequestSchema>;

const TIMES = { rows: 1, queueMs: 2, inputMs: 0.5, runMs: 3, outputMs: 0.25, totalMs: 6 };

describe('settings of serving.infer', function () {
  this.timeout(60_000);
  let subject: InferSubject;

  beforeEach(async () => {
    subject = new InferSubject();
    await subject.load();
  });
  afterEach(() => subject.repository.close());

  const trace = async (request: TraceRequest): Promise<Record<string, readonly string[]>> => {
    const message = create(TraceSettingRequestSchema, request);
    const { settings = {} } = await subject.service.traceSetting(message, callContext());
    return Object.fromEntries(Object.entries(settings).map(([name, { value = [] }]) => [name, value]));
  };
  const logs = async (
    settings: NonNullable<LogRequest['settings']> = {},
  ): Promise<Record<string, unknown>> => {
    const answer = await subject.service.logSettings(
      create(LogSettingsRequestSchema, { settings }),
      callContext(),
    );
    return Object.fromEntries(
      Object.entries(answer.settings ?? {}).map(([name, { parameterChoice }]) => [
        name,
        parameterChoice?.value,
      ]),
    );
  };

  it('of traces are for all models or for one, and can be cleared', async () => {
    const before = await trace({});
    assert.deepEqual(before['trace_level'], ['OFF']);
    await trace({ settings: { trace_rate: { value: ['5'] } } });
    const own = await trace({
      modelName: 'add',
      settings: { trace_rate: { value: ['7'] }, trace_count: { value: ['2'] } },
    });
    assert.deepEqual([own['trace_rate'], own['trace_count']], [['7'], ['2']]);
    assert.deepEqual((await trace({}))['trace_rate'], ['5']);
    const cleared = await trace({ modelName: 'add', settings: { trace_rate: { value: [] } } });
    assert.deepEqual([cleared['trace_rate'], cleared['trace_count']], [['5'], ['2']]);
    const body = JSON.stringify({ trace_rate: null, trace_level: ['TIMESTAMPS'] });
    const response = await subject.http('/v2/trace/setting', { method: 'POST', body });
    const json = (await response.json()) as Record<string, unknown>;
    assert.deepEqual([json['trace_rate'], json['trace_level']], ['1000', ['TIMESTAMPS']]);
  });

  it('of traces are refused as a whole when one does not fit', async () => {
    const wrong: readonly TraceRequest[] = [
      { settings: { trace_level: { value: ['TENSORS'] } } },
      { settings: { trace_rate: { value: ['0'] } } },
      { settings: { trace_rate: { value: ['1', '2'] } } },
      { settings: { trace_file: { value: ['/etc/passwd'] } } },
      { settings: { toString: { value: ['x'] } } },
      { settings: { trace_count: { value: ['3'] }, other: { value: ['x'] } } },
    ];
    for (const request of wrong) {
      assert.equal(
        (await rejection(() => trace(request))).code,
        Code.INVALID_ARGUMENT,
        JSON.stringify(request),
      );
    }
    assert.equal((await rejection(() => trace({ modelName: 'none' }))).code, Code.NOT_FOUND);
    assert.deepEqual((await trace({}))['trace_count'], ['-1']);
  });

  it('of logs can be read and changed over both transports', async () => {
    assert.deepEqual(await logs(), {
      log_file: '',
      log_info: true,
      log_warning: true,
      log_error: true,
      log_verbose_level: 0,
      log_format: 'default',
    });
    const after = await logs({
      log_verbose_level: { parameterChoice: { case: 'uint32Param', value: 2 } },
      log_info: { parameterChoice: { case: 'boolParam', value: false } },
    });
    assert.deepEqual([after['log_verbose_level'], after['log_info']], [2, false]);
    const response = await subject.http('/v2/logging', { method: 'POST', body: '{"log_info": true}' });
    assert.equal(((await response.json()) as Record<string, unknown>)['log_info'], true);
    for (const body of [
      '{"log_file": "/tmp/x"}',
      '{"log_info": 1}',
      '{"log_verbose_level": -1}',
      '{"x": 1}',
      '[]',
    ]) {
      assert.equal((await subject.http('/v2/logging', { method: 'POST', body })).status, 400, body);
    }
    assert.deepEqual(await subject.infer(rawRequest([1, 2])), [2, 3]);
  });
});

describe('what serving.infer writes of requests', () => {
  let host: FakeHost;

  beforeEach(() => {
    host = new FakeHost();
  });
  afterEach(() => host.close());

  it('are traces of one in so many, up to the count, with moments in their order', async () => {
    const tracer = new Tracer(host.storage.directory, host.log);
    assert.equal(tracer.isOn, false);
    tracer.change('', { trace_level: ['TIMESTAMPS'], trace_rate: ['2'], trace_count: ['3'] });
    for (let request = 0; request < 20; request += 1) tracer.answered({ model: 'm', version: '1' }, TIMES);
    await tracer.close();
    const text = await readFile(path.join(host.storage.directory, 'traces.jsonl'), 'utf8');
    const traces = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Trace);
    assert.deepEqual(
      traces.map(({ id, model_name }) => [id, model_name]),
      [1, 2, 3].map((id) => [id, 'm']),
    );
    const moments = traces[0]?.timestamps.map(({ ns }) => ns) ?? [];
    assert.equal(moments.length, 7);
    assert.deepEqual(
      moments,
      moments.toSorted((left, right) => left - right),
    );
  });

  it('are no lines that are turned off', () => {
    const log = new InferLog(host.log);
    log.change({ log_info: false, log_verbose_level: 1 });
    log.info('one');
    log.warn('two');
    assert.deepEqual(
      host.lines.map(({ message }) => message),
      ['two'],
    );
    assert.equal(log.isVerbose, true);
  });
});

interface Trace {
  readonly id: number;
  readonly model_name: string;
  readonly timestamps: readonly { readonly name: string; readonly ns: number }[];
}
