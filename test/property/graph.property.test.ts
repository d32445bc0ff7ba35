import assert from 'node:assert/strict';
import fc from 'fast-check';
import { findCycles, sortByDependencies } from '../../kernel/registry/dependency-order.ts';
import { resolveGraph } from '../../kernel/registry/graph.ts';
import type { Manifest } from '../../proto/gen/lamella/kernel/v1/manifest_pb.ts';
import { manifest } from '../kernel/registry/manifests.ts';
import { FUZZ_TIMEOUT_MS } from '../support/fuzz-runs.ts';

interface Edge {
  readonly from: number;
  readonly to: number;
  readonly optional: boolean;
}

const SIZE = 8;
const LAYERS = ['data', 'model', 'serving', 'app'];

const edges = fc.array(fc.record({ from: fc.nat(SIZE - 1), to: fc.nat(SIZE), optional: fc.boolean() }), {
  maxLength: 20,
});
const layers = fc.array(fc.constantFrom(...LAYERS), { minLength: SIZE, maxLength: SIZE });

/** Plugin n provides service n; nobody provides service SIZE. */
function plugins(layerOf: readonly string[], graph: readonly Edge[]): Manifest[] {
  return Array.from({ length: SIZE }, (_, index) =>
    manifest(`${layerOf[index] ?? 'data'}.p${index}`, {
      provides: [{ service: `s.S${index}` }],
      requires: graph
        .filter(({ from }) => from === index)
        .map(({ to, optional }) => ({ service: `s.S${to}`, optional })),
    }),
  );
}

const resolve = (added: readonly Manifest[]): ReturnType<typeof resolveGraph> =>
  resolveGraph(added, [], '0.1.0');

describe('resolveGraph, for any set of plugins', function () {
  this.timeout(FUZZ_TIMEOUT_MS);
  it('puts every plugin either into the order or among the failures, and none into both', () => {
    fc.assert(
      fc.property(layers, edges, (layerOf, graph) => {
        const all = plugins(layerOf, graph);
        const { order, failures } = resolve(all);
        const failed = [...new Set(failures.map(({ pluginId }) => pluginId))];
        assert.deepEqual([...order, ...failed].sort(), all.map(({ id }) => id).sort());
      }),
    );
  });

  it('starts nothing before what it must have, and nothing that needs what failed', () => {
    fc.assert(
      fc.property(layers, edges, (layerOf, graph) => {
        const all = plugins(layerOf, graph);
        const { order } = resolve(all);
        for (const { from, to, optional } of graph) {
          const dependant = all[from]?.id ?? '';
          if (optional || from === to || !order.includes(dependant)) continue;
          const position = order.indexOf(all[to]?.id ?? '');
          assert.ok(position !== -1 && position < order.indexOf(dependant));
        }
      }),
    );
  });

  it('never lets a plugin call up the layers', () => {
    fc.assert(
      fc.property(layers, edges, (layerOf, graph) => {
        const all = plugins(layerOf, graph);
        const { order } = resolve(all);
        const height = (index: number): number => LAYERS.indexOf(layerOf[index] ?? '');
        for (const { from, to } of graph) {
          if (to < SIZE && order.includes(all[from]?.id ?? '')) assert.ok(height(to) <= height(from));
        }
      }),
    );
  });

  it('fails a plugin on a cycle, in every order of input, and tells the same of each', () => {
    const shuffled = fc.shuffledSubarray(
      Array.from({ length: SIZE }, (_, index) => index),
      { minLength: SIZE },
    );
    fc.assert(
      fc.property(edges, shuffled, (graph, places) => {
        const all = plugins([], graph);
        const moved = places.flatMap((index) => all[index] ?? []);
        const summary = (added: readonly Manifest[]): string[] =>
          [...new Set(resolve(added).failures.map(({ pluginId }) => pluginId))].sort();
        assert.deepEqual(summary(moved), summary(all));
      }),
    );
  });
});

describe('findCycles and sortByDependencies, for any graph', function () {
  this.timeout(FUZZ_TIMEOUT_MS);
  const graphs = fc
    .array(fc.array(fc.nat(9), { maxLength: 4 }), { minLength: 1, maxLength: 10 })
    .map((lists) => {
      const known = (to: number): boolean => to < lists.length;
      return new Map(lists.map((to, from) => [String(from), new Set(to.filter(known).map(String))]));
    });

  it('finds only true cycles, and one in every graph that cannot be sorted', () => {
    fc.assert(
      fc.property(graphs, (hard) => {
        const cycles = findCycles(hard);
        for (const cycle of cycles) {
          for (const [index, id] of cycle.entries()) {
            assert.ok(hard.get(id)?.has(cycle[(index + 1) % cycle.length] ?? ''));
          }
        }
        const ids = [...hard.keys()];
        const hasSelfLoop = ids.some((id) => hard.get(id)?.has(id));
        const isSorted = sortByDependencies(ids, { hard, soft: new Map() }).length === ids.length;
        assert.equal(cycles.length === 0, isSorted && !hasSelfLoop);
      }),
    );
  });

  it('keeps all soft edges when that is possible', () => {
    fc.assert(
      fc.property(graphs, (soft) => {
        fc.pre(findCycles(soft).length === 0);
        const order = sortByDependencies([...soft.keys()], { hard: new Map(), soft });
        for (const [from, targets] of soft) {
          for (const to of targets) assert.ok(order.indexOf(to) < order.indexOf(from));
        }
      }),
    );
  });

  it('takes a chain of 20,000 without overflowing the stack', () => {
    const chain = new Map(
      Array.from({ length: 20_000 }, (_, index) => [String(index), new Set([String((index + 1) % 20_000)])]),
    );
    assert.deepEqual(
      findCycles(chain).map(({ length }) => length),
      [20_000],
    );
  });
});
