import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { create } from '@bufbuild/protobuf';
import { RepositoryModelUnloadRequestSchema } from 'lamella/proto/inference/grpc_inference_service';
import { addModel, callContext } from './infer-fixture.ts';
import { InferSubject, rawRequest } from './infer-subject.ts';

/** The long form takes half an hour: 1,000 loads, and 1,000 models under a budget of 50. */
const IS_LONG = process.env['LAMELLA_SOAK'] === '1';
const CYCLES = IS_LONG ? 1_000 : 4;
const MODELS = IS_LONG ? 1_000 : 5;
const BUDGET = IS_LONG ? 50 : 2;
const REQUESTS = IS_LONG ? 5_000 : 12;

/** Direct children of this process that live. */
function childProcesses(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        return Number(parent) === process.pid && state !== 'Z';
      } catch {
        return false;
      }
    })
    .map(Number);
}

describe(`serving.infer for long${IS_LONG ? '' : ' (short form; LAMELLA_SOAK=1 for the long one)'}`, function () {
  this.timeout(IS_LONG ? 3_600_000 : 60_000);

  it('leaves no process and no memory behind when models come and go (skipped where there is no /proc)', async function () {
    if (process.platform !== 'linux') this.skip();
    const subject = new InferSubject();
    const before = childProcesses();
    const heaps: number[] = [];
    for (let cycle = 0; cycle < CYCLES; cycle += 1) {
      await subject.load();
      assert.deepEqual(await subject.infer(rawRequest([1, 2])), [2, 3]);
      await subject.service.repositoryModelUnload(
        create(RepositoryModelUnloadRequestSchema, { modelName: 'add' }),
        callContext(),
      );
      heaps.push(process.memoryUsage().heapUsed);
    }
    await subject.repository.close();
    const left = childProcesses().filter((pid) => !before.includes(pid));
    assert.deepEqual(left, []);
    assert.equal(subject.repository.states().length, 1);
    if (!IS_LONG) return;
    // The lowest of each hundred, since when the heap was last collected is chance.
    const lows = Array.from({ length: 10 }, (_, part) =>
      Math.min(...heaps.slice(part * 100, part * 100 + 100)),
    );
    const [, second = 0] = lows;
    assert.ok((lows.at(-1) ?? 0) < second + 8 * 1_048_576, `lowest heaps: ${lows.join(', ')}`);
  });

  it(`answers ${MODELS} models right under a budget of ${BUDGET}, whatever is asked for most`, async () => {
    const subject = new InferSubject(undefined, { loadOnDemand: true, maxLoadedModels: BUDGET });
    for (let index = 0; index < MODELS; index += 1) subject.registry.add(`m${index}`, addModel(index));
    let seed = 1;
    for (let count = 0; count < REQUESTS; count += 1) {
      // Zipf's law: the first is asked for as often as the second and third together, and so on.
      seed = (seed * 48_271) % 2_147_483_647;
      const index = Math.min(MODELS - 1, Math.floor(MODELS ** (seed / 2_147_483_647)) - 1);
      const sum = await subject.infer(rawRequest([1, 2], { modelName: `m${index}` }));
      assert.deepEqual(sum, [1 + index, 2 + index]);
      assert.ok(subject.repository.loaded().length <= BUDGET + 1);
    }
    await subject.repository.close();
  });
});
