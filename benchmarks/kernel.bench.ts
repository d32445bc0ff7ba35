import { cpus } from 'node:os';
import { GoPeers } from './kernel/go-peers.ts';
import { idleBenchmark } from './kernel/idle.ts';
import { manyPluginsBenchmark } from './kernel/many-plugins.ts';
import { echoBenchmark, isolationBenchmark } from './kernel/peers.ts';
import { swapsBenchmark } from './kernel/swaps.ts';
import type { Part } from './kernel/verdict.ts';

/** What the kernel itself costs, beside bare grpc-js, grpc-go and hashicorp/go-plugin in the same run. */
export async function kernelBenchmark(): Promise<object> {
  const go = await GoPeers.build().catch((error: unknown) => {
    console.error(`The peers in Go are left out: ${(error as Error).message}`);
    return undefined;
  });
  const parts = {
    echo: told(await echoBenchmark(go)),
    isolation: told(await isolationBenchmark(go)),
    manyPlugins: told(await manyPluginsBenchmark()),
    idle: told(await idleBenchmark(go)),
    swaps: told(await swapsBenchmark()),
  };
  return {
    machine: { cores: cpus().length, cpu: cpus()[0]?.model ?? '', node: process.version, go: go?.versions },
    pinned: 'echo, isolation and manyPlugins: servers on core 0, client on core 1; the rest: no',
    ...parts,
    verdict: Object.values(parts).flatMap(({ verdict }) => verdict),
  };
}

/** Tells what a part found as soon as it has: all of them take ten minutes. */
function told(part: Part): Part {
  for (const sentence of part.verdict) console.error(sentence);
  return part;
}
