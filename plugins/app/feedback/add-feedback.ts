import type { Feedback } from 'lamella/proto/lamella/app/v1/feedback_service';
import type { DatasetVersion } from 'lamella/proto/lamella/data/v1/dataset';
import type { WriteVersionRequestSchema } from 'lamella/proto/lamella/data/v1/store_service';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { identifier } from 'lamella/sdk';
import type { StageContext } from './data-stages.ts';
import { StageIncomplete } from './errors.ts';
import { feedbackRows } from './feedback-rows.ts';
import { feedbackNumber, type FeedbackStore } from './feedback-store.ts';
import type { StageWork } from './stages.ts';

/** The data of a training with its feedback. */
export interface TrainingData {
  readonly version: DatasetVersion;
  readonly feedbackRows: number;
  /** Number of the newest feedback that was looked at; 0 without any. */
  readonly lastFeedback: number;
}

/** Puts all usable feedback of a model behind the rows of its dataset, as a new version. */
export async function* addFeedback(
  stage: StageContext,
  store: FeedbackStore,
  model: string,
): StageWork<TrainingData> {
  const { services, checked, options } = stage;
  yield { done: 0, total: 0, unit: 'rows' };
  const { version: base } = await services.store.getVersion({ name: checked.recipe.datasetVersion }, options);
  if (base === undefined) throw new StageIncomplete({ stage: 'collect' });
  const feedback: Feedback[] = [];
  for await (const item of store.list(model)) feedback.push(item);
  const lastFeedback = feedback.reduce((last, item) => Math.max(last, feedbackNumber(item)), 0);
  if (feedback.length === 0) {
    const result = { version: base, feedbackRows: 0, lastFeedback };
    return { result, message: `${base.rowCount} rows, no feedback` };
  }
  const { rows, arrowIpc } = feedbackRows(feedback, base.schema?.fields ?? [], checked);
  if (rows === 0) {
    const result = { version: base, feedbackRows: 0, lastFeedback };
    return { result, message: `${base.rowCount} rows, none of ${feedback.length} feedback fits them` };
  }
  const added = await write(stage, base, arrowIpc);
  const version = await append(stage, base, added);
  return {
    result: { version, feedbackRows: rows, lastFeedback },
    message: `${base.rowCount} rows and ${rows} of feedback`,
    metrics: { rows: Number(version.rowCount), feedbackRows: rows },
  };
}

/** Stores the feedback alone as a version of its own, so that the lineage shows where each row came from. */
async function write(
  { services, checked, options }: StageContext,
  base: DatasetVersion,
  arrowIpc: Uint8Array,
): Promise<DatasetVersion> {
  const names = [checked.split.keyColumn, checked.recipe.featureColumn, checked.recipe.labelColumn];
  const fields = names.flatMap((name) => base.schema?.fields.find((field) => field.name === name) ?? []);
  async function* parts(): AsyncGenerator<MessageInitShape<typeof WriteVersionRequestSchema>> {
    yield {
      part: {
        case: 'header',
        value: { dataset: `${checked.dataset}-feedback`, schema: { fields }, step: { name: 'feedback' } },
      },
    };
    yield { part: { case: 'arrowIpc', value: arrowIpc } };
  }
  const { version } = await services.store.writeVersion(parts(), options);
  if (version === undefined) throw new StageIncomplete({ stage: 'collect' });
  return version;
}

async function append(
  { services, checked, options }: StageContext,
  base: DatasetVersion,
  added: DatasetVersion,
): Promise<DatasetVersion> {
  const columns = [checked.split.keyColumn, checked.recipe.featureColumn, checked.recipe.labelColumn]
    .map((name) => identifier(name))
    .join(', ');
  const request = {
    inputs: [
      { alias: 'base', version: base.name },
      { alias: 'feedback', version: added.name },
    ],
    sql: `SELECT ${columns} FROM base UNION ALL SELECT ${columns} FROM feedback`,
    outputDataset: `${checked.dataset}-with-feedback`,
    step: { name: 'append_feedback' },
  };
  let version: DatasetVersion | undefined;
  for await (const answer of services.engine.run(request, options)) version = answer.version ?? version;
  if (version === undefined) throw new StageIncomplete({ stage: 'collect' });
  return version;
}
