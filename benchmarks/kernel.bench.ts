import { cpus } from 'node:os';
import { GoPeers } from './kernel/go-peers.ts';
import { idleBenchmark } from './kernel/idle.ts';
import { manyPluginsBenchmark } from './kernel/many-plugins.ts';
import { echoBenchmark, isolationBenchmark } from './kernel/peers.ts';
import { swapsBenchmark } from './kernel/swaps.ts';

/** What the kernel itself costs, beside bare grpc-js, grpc-go and hashicorp/go-plugin in the same run. */
export async function kernelBenchmark(): Promise<object> {
  const go = await GoPeers.build().catch((error: unknown) => {
    console.error(`The peers in Go are left out: ${(error as Error).message}`);
    return undefined;
  });
  const parts = {
    echo: await echoBenchmark(go),
    isolation: await isolationBenchmark(go),
    manyPlugins: await manyPluginsBenchmark(),
    idle: await idleBenchmark(go),
    swaps: await swapsBenchmark(),
  };
  return {
    machine: { cores: cpus().length, cpu: cpus()[0]?.model ?? '', node: process.version, go: go?.versions },
    pinned: 'echo, isolation and manyPlugins: servers on core 0, client on core 1; the rest: no',
    ...parts,
    verdict: Object.values(parts).flatMap(({ verdict }) => verdict),
  };
}
