import assert from 'node:assert/strict';
import { MessageChannel } from 'node:worker_threads';
import fc from 'fast-check';
import { Inlet } from '../../kernel/port/flow.ts';
import { BrokenFrame, checkedFrame } from '../../kernel/port/frames.ts';
import { PortPeer } from '../../kernel/port/port-peer.ts';
import type { Target } from '../../kernel/target.ts';
import { FUZZ_TIMEOUT_MS } from '../support/fuzz-runs.ts';

const KINDS = [
  'open',
  'end',
  'message',
  'half',
  'headers',
  'fail',
  'cancel',
  'credit',
  'ask',
  'answer',
  'tell',
  'constructor',
  '__proto__',
];

const bytes = fc.uint8Array({ maxLength: 20 });
const headers = fc
  .array(fc.tuple(fc.string({ maxLength: 5 }), fc.oneof(fc.string(), bytes, fc.integer())), { maxLength: 3 })
  .map((entries) => new Map(entries));
const status = fc.record(
  {
    code: fc.oneof(fc.integer({ min: -1, max: 20 }), fc.double()),
    message: fc.string({ unit: 'binary' }),
    detailsBin: fc.option(bytes, { nil: undefined }),
    trailers: headers,
  },
  { requiredKeys: [] },
);

/** Values that are nearly what a frame must hold, and others that are nothing like it. */
const oddly = <Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 9, arbitrary: value }, { weight: 1, arbitrary: fc.jsonValue() });
const frames = fc.record(
  {
    kind: fc.constantFrom(...KINDS),
    id: oddly(fc.integer({ min: -2, max: 9 })),
    path: oddly(fc.constantFrom('/u', '/s', '/none')),
    headers: oddly(headers),
    deadlineMs: oddly(fc.oneof(fc.constant(undefined), fc.integer(), fc.constant(NaN), fc.constant(8e15))),
    bytes: oddly(fc.oneof(bytes, fc.nat())),
    trailers: oddly(headers),
    status: oddly(status),
    name: oddly(fc.string()),
    value: fc.jsonValue(),
  },
  { requiredKeys: ['kind'] },
);

/** Answers with what it gets. */
const target: Target = {
  unary: async (_path, request) => request,
  async *stream(_path, requests) {
    yield* requests;
  },
};

describe('a port between threads, for anything that is posted', function () {
  this.timeout(FUZZ_TIMEOUT_MS);
  it('takes frames that hold what they must and calls everything else broken', () => {
    fc.assert(
      fc.property(fc.oneof(frames, fc.jsonValue(), fc.anything()), (posted) => {
        try {
          assert.ok(KINDS.includes(checkedFrame(posted).kind));
        } catch (error) {
          assert.ok(error instanceof BrokenFrame, String(error));
        }
      }),
    );
  });

  it('fails calls, questions and nothing else, and forgets them all', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(frames, { maxLength: 12 }), async (posted) => {
        const { port1, port2 } = new MessageChannel();
        const problems: string[] = [];
        const peer = new PortPeer(port2, {
          side: 'kernel',
          target,
          answer: (name) => {
            if (name.length % 2 === 1) throw new Error('refused');
            return name;
          },
          onBroken: (problem) => problems.push(problem),
        });
        const calls = [
          peer.unary('/u', new Uint8Array(3)),
          peer.ask('x', 1),
          (async () => {
            for await (const _ of peer.stream('/s', (async function* () {})())) continue;
          })(),
        ];
        for (const frame of posted) port1.postMessage(frame);
        await new Promise((resolve) => port1.once('message', resolve));
        peer.fail(new Error('over'));
        await Promise.allSettled(calls);
        port1.close();
        await new Promise(setImmediate);
        assert.equal(peer.servedCount, 0);
        assert.ok(problems.length <= 2, problems.join());
      }),
    );
  });

  it('holds no more of a stream than the writer may be ahead', async () => {
    const steps = fc.array(fc.oneof(fc.nat(300_000), fc.constant('take' as const)), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(steps, async (sequence) => {
        let creditBytes = 512 * 1024;
        const inlet = new Inlet((granted) => (creditBytes += granted));
        const reader = inlet[Symbol.asyncIterator]();
        let held = 0;
        for (const step of sequence) {
          if (step === 'take') {
            if (held > 0) await reader.next();
            held = Math.max(0, held - 1);
          } else if (creditBytes > 0) {
            inlet.push(new Uint8Array(step));
            creditBytes -= step + 128;
            held += 1;
          } else {
            assert.throws(() => inlet.push(new Uint8Array(step)), BrokenFrame);
          }
        }
      }),
    );
  });
});
