import assert from 'node:assert/strict';
import { create } from '@bufbuild/protobuf';
import {
  FeedbackSchema,
  type FeedbackService,
  RetrainResponseSchema,
  RetrainStage,
  RetrainState,
} from 'lamella/proto/lamella/app/v1/feedback_service';
import { ModelSchema, ModelVersionSchema } from 'lamella/proto/lamella/model/v1/model';
import type { RegistryService } from 'lamella/proto/lamella/model/v1/registry_service';
import type { MonitorService } from 'lamella/proto/lamella/serving/v1/monitor_service';
import { type Client, Code, defineError, type FetchHandler, type Logger } from 'lamella/sdk';
import { consoleHandler } from '../../../plugins/app/console/console-handler.ts';

const RetrainRunning = defineError({
  reason: 'RETRAIN_RUNNING',
  code: Code.FAILED_PRECONDITION,
  message: () => 'It runs already.',
});

function silent(): void {
  // Tests read answers, not logs.
}
const log: Logger = { debug: silent, info: silent, warn: silent, error: silent };

type Feedback = Client<typeof FeedbackService>;

describe('app.console', () => {
  function handler(
    feedback: Partial<Feedback> = {},
    registry: Partial<Client<typeof RegistryService>> = {},
  ): FetchHandler {
    return consoleHandler({
      files: new Map(),
      log,
      feedback: feedback as Feedback,
      registry: registry as Client<typeof RegistryService>,
      monitor: {} as Client<typeof MonitorService>,
    });
  }

  async function get(
    target: string,
    handle: FetchHandler = handler(),
    init: RequestInit = {},
  ): Promise<Response> {
    const request = new Request(`http://127.0.0.1${target}`, init);
    return handle(request, { signal: new AbortController().signal, peer: '127.0.0.1' });
  }

  function post(target: string, body: unknown, handle: FetchHandler): Promise<Response> {
    const headers = { 'content-type': 'application/json' };
    return get(target, handle, {
      method: 'POST',
      headers,
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  }

  async function errorOf(response: Response): Promise<string> {
    return ((await response.json()) as { error: string }).error;
  }

  describe('feedback', () => {
    const pixels = Buffer.alloc(784, 7);
    const said = {
      model: 'digits',
      modelVersion: '3',
      pixels: pixels.toString('base64'),
      predicted: 1,
      correct: 7,
    };

    it('stores a correction as an image of 28 by 28 bytes', async () => {
      const seen: Parameters<Feedback['recordFeedback']>[0][] = [];
      const recordFeedback: Feedback['recordFeedback'] = async (request) => {
        seen.push(request);
        const feedback = create(FeedbackSchema, { name: 'models/digits/feedback/1', correct: '7' });
        return { $typeName: 'lamella.app.v1.RecordFeedbackResponse', feedback };
      };
      const handle = handler({ recordFeedback });
      assert.equal((await post('/console/api/feedback', said, handle)).status, 201);
      assert.equal(
        (await post('/console/api/feedback', { ...said, pixels: [...pixels] }, handle)).status,
        201,
      );
      for (const request of seen) {
        assert.equal(request.model, 'digits');
        assert.equal(request.modelVersion, '3');
        assert.equal(request.predicted, '1');
        assert.equal(request.correct, '7');
        assert.equal(request.input?.datatype, 'UINT8');
        assert.deepEqual(request.input?.shape, [28n, 28n]);
        assert.deepEqual(Buffer.from(request.input?.data ?? []), pixels);
      }
      assert.equal(seen.length, 2);
    });

    it('refuses what is no correction, and says why', async () => {
      const wrong: [unknown, RegExp][] = [
        ['{', /not JSON/],
        ['[]', /JSON object/],
        ['null', /JSON object/],
        [{ ...said, model: '../x' }, /'model'/],
        [{ ...said, pixels: 'AAAA' }, /'pixels'/],
        [{ ...said, pixels: Array.from({ length: 784 }, () => 256) }, /'pixels'/],
        [{ ...said, pixels: Array.from({ length: 784 }, () => 0.5) }, /'pixels'/],
        [{ ...said, correct: -1 }, /'correct'/],
        [{ ...said, correct: undefined }, /'correct'/],
        [{ ...said, modelVersion: { a: 1 } }, /'modelVersion'/],
        [{ ...said, modelVersion: 'x'.repeat(20_000) }, /larger than/],
      ];
      for (const [body, problem] of wrong) {
        const response = await post('/console/api/feedback', body, handler());
        assert.equal(response.status, 400);
        assert.match(await errorOf(response), problem);
      }
    });

    it('refuses a body that a form of another site could send', async () => {
      const headers = { 'content-type': 'text/plain' };
      const response = await get('/console/api/feedback', handler(), {
        method: 'POST',
        headers,
        body: JSON.stringify(said),
      });
      assert.equal(response.status, 415);
    });

    it('lists the newest and counts all pages', async () => {
      const page = (size: number): ReturnType<typeof create<typeof FeedbackSchema>>[] =>
        Array.from({ length: size }, (_, index) =>
          create(FeedbackSchema, { name: String(index), input: { data: pixels } }),
        );
      const listFeedback: Feedback['listFeedback'] = async ({ parent, pageToken }) => {
        assert.equal(parent, 'models/digits');
        const isFirst = pageToken === '';
        return {
          $typeName: 'lamella.app.v1.ListFeedbackResponse',
          feedback: page(isFirst ? 1000 : 5),
          nextPageToken: isFirst ? 'next' : '',
        };
      };
      const response = await get('/console/api/feedback?model=digits', handler({ listFeedback }));
      const list = (await response.json()) as { count: number; more: boolean; items: { pixels: string }[] };
      assert.equal(list.count, 1005);
      assert.equal(list.more, false);
      assert.equal(list.items.length, 24);
      assert.equal(list.items[0]?.pixels, said.pixels);
      assert.equal((await get('/console/api/feedback', handler({ listFeedback }))).status, 400);
    });
  });

  describe('retraining', () => {
    const started = create(RetrainResponseSchema, {
      stage: RetrainStage.TRAIN,
      state: RetrainState.STARTED,
      total: 10n,
    });

    function retrain(end: () => void, onClose: () => void = silent): Partial<Feedback> {
      return {
        async *retrain({ model }) {
          assert.equal(model, 'digits');
          try {
            yield started;
            end();
            const result = {
              accuracy: 0.97,
              promoted: true,
              holdoutRows: 2000n,
              version: 'models/digits/versions/2',
            };
            yield create(RetrainResponseSchema, {
              stage: RetrainStage.DEPLOY,
              state: RetrainState.DONE,
              result,
            });
          } finally {
            onClose();
          }
        },
      };
    }

    it('streams each stage and the result as events', async () => {
      const response = await post('/console/api/retrain', { model: 'digits' }, handler(retrain(silent)));
      assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);
      const events = (await response.text()).trim().split('\n\n');
      assert.equal(events.length, 3);
      assert.match(
        events[0] ?? '',
        /^event: stage\ndata: \{"stage":"TRAIN","state":"STARTED","done":0,"total":10/,
      );
      assert.match(events[1] ?? '', /"promoted":true.*"holdoutRows":2000/);
      assert.equal(events[2], 'event: end\ndata: {}');
    });

    it('answers with a status when a training cannot start', async () => {
      const service: Partial<Feedback> = {
        // oxlint-disable-next-line require-yield
        async *retrain() {
          throw new RetrainRunning({});
        },
      };
      const response = await post('/console/api/retrain', { model: 'digits' }, handler(service));
      assert.equal(response.status, 409);
      assert.equal(await errorOf(response), 'It runs already.');
    });

    it('ends with an event when a training fails later, and keeps what was not meant to be seen', async () => {
      const fail = (error: Error) => (): void => {
        throw error;
      };
      const declared = handler(retrain(fail(new RetrainRunning({}))));
      assert.match(
        await (await post('/console/api/retrain', { model: 'digits' }, declared)).text(),
        /event: error\ndata: \{"error":"It runs already."\}/,
      );
      const unknown = handler(retrain(fail(new Error('secret path'))));
      const text = await (await post('/console/api/retrain', { model: 'digits' }, unknown)).text();
      assert.match(text, /event: error/);
      assert.doesNotMatch(text, /secret/);
    });

    it('stops the training when the reader goes away', async () => {
      let isClosed = false;
      const service = retrain(silent, () => {
        isClosed = true;
      });
      const response = await post('/console/api/retrain', { model: 'digits' }, handler(service));
      await response.body?.cancel();
      assert.equal(isClosed, true);
    });
  });

  it('lists models with versions and aliases', async () => {
    const registry: Partial<Client<typeof RegistryService>> = {
      listModels: async () => ({
        $typeName: 'lamella.model.v1.ListModelsResponse',
        models: [create(ModelSchema, { name: 'models/digits', aliases: { champion: 2n } })],
        nextPageToken: '',
      }),
      listVersions: async ({ parent }) => ({
        $typeName: 'lamella.model.v1.ListVersionsResponse',
        versions: [
          create(ModelVersionSchema, { version: 2n, metrics: { accuracy: 0.97 }, aliases: [parent ?? ''] }),
        ],
        nextPageToken: '',
      }),
    };
    const answer: unknown = await (await get('/console/api/models', handler({}, registry))).json();
    assert.deepEqual(answer, {
      models: [
        {
          model: 'digits',
          aliases: { champion: 2 },
          versions: [{ version: 2, aliases: ['models/digits'], metrics: { accuracy: 0.97 }, sizeBytes: 0 }],
        },
      ],
    });
  });
});
