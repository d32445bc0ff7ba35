import type { DatasetVersion } from 'lamella/proto/lamella/data/v1/dataset';
import type { FittedPipeline } from 'lamella/proto/lamella/data/v1/pipeline';
import type { CallOptions } from 'lamella/sdk';
import { QualityGateFailed, StageIncomplete } from './errors.ts';
import { holdoutSql } from './holdout-sql.ts';
import type { CheckedRecipe } from './recipe.ts';
import type { Services } from './services.ts';
import type { StageWork } from './stages.ts';

/** What every stage works with. */
export interface StageContext {
  readonly services: Services;
  readonly checked: CheckedRecipe;
  /** Passed on with each call, so that cancelling the training cancels what runs for it. */
  readonly options: CallOptions;
}

/** Removes what cannot be trained on. */
export async function* clean(
  { services, checked, options }: StageContext,
  version: string,
): StageWork<DatasetVersion> {
  const { recipe, dataset } = checked;
  const request = { version, outputDataset: `${dataset}-clean`, steps: recipe.cleanSteps };
  let cleaned: DatasetVersion | undefined;
  let removed = 0;
  for await (const answer of services.clean.clean(request, options)) {
    cleaned = answer.version ?? cleaned;
    removed = answer.report.reduce((sum, step) => sum + Number(step.rowsBefore - step.rowsAfter), 0);
    yield { done: Number(answer.rows), total: 0, unit: 'rows' };
  }
  if (cleaned === undefined) throw new StageIncomplete({ stage: 'clean' });
  const rows = Number(cleaned.rowCount);
  return { result: cleaned, message: `${rows} rows kept, ${removed} removed`, metrics: { rows, removed } };
}

/** Fits the preparation on the rows outside the hold-out; the same fitted steps go into the served graph. */
export async function* preprocess(
  { services, checked, options }: StageContext,
  version: string,
): StageWork<FittedPipeline> {
  const { recipe, split } = checked;
  const rowFilter = `NOT (${holdoutSql(split.keyColumn, split.holdoutShare, split.seed)})`;
  yield { done: 0, total: recipe.preprocessSteps.length, unit: 'steps' };
  const { pipeline } = await services.preprocess.fit(
    { version, steps: recipe.preprocessSteps, featureColumns: [recipe.featureColumn], rowFilter },
    options,
  );
  if (pipeline === undefined) throw new StageIncomplete({ stage: 'preprocess' });
  const names = recipe.preprocessSteps.map(({ name }) => name).join(', ');
  return { result: pipeline, message: names === '' ? 'no steps' : names };
}

/** Stops the training of data that breaks a rule of level ERROR. */
export async function* qualityGate(
  { services, checked, options }: StageContext,
  version: string,
): StageWork<undefined> {
  const { rules } = checked.recipe;
  yield { done: 0, total: rules.length, unit: 'rules' };
  const { passed, results } = await services.quality.check({ version, rules }, options);
  const failed = results.filter((result) => !result.passed);
  if (!passed) {
    const failures = failed.map(({ rule, message }) => `${rule?.kind ?? 'rule'}: ${message}`).join('; ');
    throw new QualityGateFailed({ version, failures });
  }
  const warnings = failed.length === 0 ? '' : `, ${failed.length} with warnings`;
  return { result: undefined, message: `${rules.length} rules passed${warnings}` };
}
