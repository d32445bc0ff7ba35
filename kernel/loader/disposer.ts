import type { Logger, Resource } from '../../sdk/index.ts';

/** Releases owned resources in reverse order of acquisition, one after another. */
export class Disposer {
  readonly #resources: Resource[] = [];

  /** Takes over a resource. */
  own<Owned extends Resource>(resource: Owned): Owned {
    this.#resources.push(resource);
    return resource;
  }

  /** Releases everything; a failure is logged and does not keep the rest. */
  async dispose(log: Logger): Promise<void> {
    for (const resource of this.#resources.splice(0).toReversed()) {
      try {
        await release(resource);
      } catch (error) {
        log.warn('a resource could not be released', { error });
      }
    }
  }
}

async function release(resource: Resource): Promise<void> {
  if (Symbol.asyncDispose in resource) await resource[Symbol.asyncDispose]();
  else if (Symbol.dispose in resource) resource[Symbol.dispose]();
  else await resource.close();
}
