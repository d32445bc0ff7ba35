/** Edges between plugins: id to the ids it depends on. */
export interface Dependencies {
  /** Must be there first. */
  readonly hard: ReadonlyMap<string, ReadonlySet<string>>;
  /** Should be there first if that is possible. */
  readonly soft: ReadonlyMap<string, ReadonlySet<string>>;
}

type Edges = ReadonlyMap<string, ReadonlySet<string>>;

/**
 * Cycles of plugins that depend on each other, each as the ids on the way round. Every knot is found by at least one
 * cycle; all its plugins are on one or depend on one.
 *
 * @remarks Depth-first search: an edge back to the path closes a cycle. Every edge is walked once, so the time is
 * linear. Iterative, because a hostile set may be a chain of thousands.
 */
export function findCycles(edges: Edges): string[][] {
  const cycles: string[][] = [];
  const cleared = new Set<string>();
  for (const start of edges.keys()) {
    const path: { readonly id: string; readonly rest: Iterator<string> }[] = [];
    const onPath = new Map<string, number>();
    const enter = (id: string): void => {
      onPath.set(id, path.length);
      path.push({ id, rest: (edges.get(id) ?? new Set<string>()).values() });
    };
    if (!cleared.has(start)) enter(start);
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const { done, value: next } = top.rest.next();
      if (done === true) {
        cleared.add(top.id);
        onPath.delete(top.id);
        path.pop();
      } else if (onPath.has(next)) {
        cycles.push(path.slice(onPath.get(next)).map(({ id }) => id));
      } else if (!cleared.has(next)) {
        enter(next);
      }
    }
  }
  return cycles;
}

/**
 * Order in which every plugin comes after those it depends on. Hard edges always hold; a soft edge is given up only
 * when nothing else can go on. Among equals the given order stays.
 *
 * @param ids - Plugins to order; edges to others are taken as met. They must not contain a hard cycle.
 */
export function sortByDependencies(ids: readonly string[], { hard, soft }: Dependencies): string[] {
  const waiting = new Set(ids);
  const order: string[] = [];
  const isMet = (edges: Edges, id: string): boolean => {
    for (const needed of edges.get(id) ?? []) if (needed !== id && waiting.has(needed)) return false;
    return true;
  };
  while (waiting.size > 0) {
    let next: string | undefined;
    for (const id of waiting) {
      if (!isMet(hard, id)) continue;
      if (isMet(soft, id)) {
        next = id;
        break;
      }
      next ??= id;
    }
    if (next === undefined) break;
    waiting.delete(next);
    order.push(next);
  }
  return order;
}
