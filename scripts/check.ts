import { runCommand } from './run-command.ts';

interface Gate {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  /** What repairs a failure. */
  readonly repair: string;
}

const FIX = "run 'npm run fix'";

const GATES: readonly Gate[] = [
  { name: 'format', command: ['oxfmt', '--check', '.'], repair: FIX },
  {
    name: 'lint',
    command: ['oxlint', '--type-aware', '--deny-warnings', '--report-unused-disable-directives'],
    repair: `${FIX}, then change what is left by hand`,
  },
  {
    name: 'boundaries',
    command: ['node', 'dist/scripts/check-boundaries.js'],
    repair: 'move the import; .dependency-cruiser.cjs says who may import whom',
  },
  { name: 'proto-format', command: ['buf', 'format', '--diff', '--exit-code'], repair: FIX },
  { name: 'proto-lint', command: ['buf', 'lint'], repair: 'correct the .proto file' },
  {
    name: 'proto-breaking',
    command: ['buf', 'breaking', '--against', 'proto/api.txtpb'],
    repair: "keep the old form, or, before a first release, run 'npm run fix -- --accept-breaking'",
  },
  { name: 'generated', command: ['node', 'dist/scripts/check-generated.js'], repair: FIX },
  {
    name: 'unused',
    command: ['knip', '--no-progress'],
    repair: 'remove what nobody uses, or its entry in package.json',
  },
  {
    name: 'docs',
    command: ['typedoc', '--logLevel', 'Warn'],
    repair: 'write the missing comment on the export of sdk/',
  },
];

/** Runs the gates, or those named on the command line, and reports all that fail. */
async function check(names: readonly string[]): Promise<number> {
  const unknown = names.filter((name) => !GATES.some((gate) => gate.name === name));
  if (unknown.length > 0) {
    console.error(
      `No gate '${unknown.join("', '")}'; there is: ${GATES.map(({ name }) => name).join(', ')}.`,
    );
    return 2;
  }
  let failed = 0;
  for (const gate of GATES) {
    if (names.length > 0 && !names.includes(gate.name)) continue;
    const started = performance.now();
    const { status, output } = await runCommand(...gate.command);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(`${status === 0 ? 'ok    ' : 'FAILED'} ${gate.name.padEnd(15)} ${seconds.padStart(5)} s`);
    if (status === 0) continue;
    failed += 1;
    console.error(`${output.trimEnd()}\n  to repair: ${gate.repair}\n`);
  }
  if (failed > 0) console.error(`${failed} of the gates failed.`);
  return failed === 0 ? 0 : 1;
}

process.exitCode = await check(process.argv.slice(2));
