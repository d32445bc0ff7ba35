import { runCommand } from './run-command.ts';
import { SOURCE_FOLDERS, filesBelow, sourceFiles } from './source-files.ts';

interface CruiseResult {
  readonly modules: readonly { readonly source: string }[];
  readonly summary: {
    readonly totalDependenciesCruised: number;
    readonly violations: readonly {
      readonly from: string;
      readonly to: string;
      readonly rule: { readonly name: string; readonly severity: string };
    }[];
  };
}

/**
 * Checks who imports whom.
 *
 * @remarks Counts what was cruised: with a compiler it cannot use, dependency-cruiser says "no violations (0 modules)".
 */
async function checkBoundaries(): Promise<boolean> {
  const folders: string[] = [];
  for (const folder of SOURCE_FOLDERS) if ((await filesBelow(folder, '.ts')).length > 0) folders.push(folder);
  const { output, status } = await runCommand(
    'depcruise',
    ...folders,
    '--config',
    '.dependency-cruiser.cjs',
    '--output-type',
    'json',
  );
  const start = output.indexOf('{');
  if (start === -1) {
    console.error(`dependency-cruiser gave no result (exit ${status}):\n${output}`);
    return false;
  }
  const result = JSON.parse(output.slice(start)) as CruiseResult;
  const seen = new Set(result.modules.map((module) => module.source));
  const missed = (await sourceFiles()).filter((file) => !seen.has(file));
  const errors = result.summary.violations.filter(({ rule }) => rule.severity === 'error');
  for (const { rule, from, to } of errors) console.error(`${rule.name}: ${from} imports ${to}`);
  for (const file of missed.slice(0, 10)) console.error(`not cruised: ${file}`);
  console.log(`${seen.size} modules, ${result.summary.totalDependenciesCruised} imports`);
  return errors.length === 0 && missed.length === 0;
}

if (!(await checkBoundaries())) process.exitCode = 1;
