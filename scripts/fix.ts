import { runCommand } from './run-command.ts';

/** Repairs what a tool can repair: generated code, image and pages, format, lint. */
async function fix(acceptBreaking: boolean): Promise<number> {
  const breaking = await runCommand('buf', 'breaking', '--against', 'proto/api.txtpb');
  if (breaking.status !== 0 && !acceptBreaking) {
    console.error(
      `${breaking.output.trimEnd()}\nThe change breaks callers; to keep it: npm run fix -- --accept-breaking`,
    );
    return 1;
  }
  const steps: readonly (readonly [string, ...string[]])[] = [
    ['buf', 'format', '--write'],
    ['buf', 'generate'],
    ['buf', 'build', '-o', 'proto/api.txtpb', '--exclude-source-info'],
    ['oxlint', '--type-aware', '--fix'],
    ['oxfmt', '.'],
    ['node', 'dist/scripts/docs-errors.js'],
    ['node', 'dist/scripts/docs-configuration.js'],
  ];
  let failed = 0;
  for (const step of steps) {
    const { status, output } = await runCommand(...step);
    if (status === 0) continue;
    failed += 1;
    console.error(`${step.join(' ')}:\n${output}`);
  }
  return failed === 0 ? 0 : 1;
}

process.exitCode = await fix(process.argv.includes('--accept-breaking'));
