// Retrains, with a line for each stage, and shows which model won.

import { ApiError, failure, MODEL, request } from './api.js';
import { readEvents } from './event-stream.js';
import { number, onLanguage, percent, text } from './text.js';

const STAGES = [
  'COLLECT',
  'CLEAN',
  'PREPROCESS',
  'QUALITY',
  'TRAIN',
  'EVALUATE',
  'COMPARE',
  'REGISTER',
  'DEPLOY',
];
const OVER = new Set(['DONE', 'SKIPPED']);

/** Figures a stage line shows, in this order. */
const METRICS = {
  rows: ['metricRows', (value) => number(value)],
  feedbackRows: ['metricFeedbackRows', (value) => number(value)],
  removed: ['metricRemoved', (value) => number(value)],
  accuracy: ['metricAccuracy', (value) => percent(value, 2)],
  loss: ['metricLoss', (value) => number(value, { maximumFractionDigits: 4 })],
  samplesPerSecond: ['metricSamplesPerSecond', (value) => number(Math.round(value))],
  sizeBytes: ['metricSizeBytes', (value) => number(value / 1024, { maximumFractionDigits: 1 })],
};

/** The card with the training. */
export class RetrainView {
  #parts;
  #onEnd;
  #abort;
  #stages = new Map();
  #showOutcome = () => [];

  /** `parts` are the elements `retrain`, `stop`, `stages` and `outcome`; `onEnd` is called after each run. */
  constructor(parts, onEnd) {
    this.#parts = parts;
    this.#onEnd = onEnd;
    parts.retrain.addEventListener('click', () => void this.#run());
    parts.stop.addEventListener('click', () => this.#abort?.abort());
    onLanguage(() => this.#outcome(this.#showOutcome));
  }

  async #run() {
    if (this.#abort !== undefined) return;
    this.#abort = new AbortController();
    this.#stages = new Map(STAGES.map((stage) => [stage, { state: 'WAITING' }]));
    this.#outcome(() => [paragraph(text('training'))]);
    try {
      await this.#follow(this.#abort.signal);
    } catch (error) {
      const isStopped = this.#abort.signal.aborted;
      this.#endRunning();
      this.#outcome(() => [
        paragraph(isStopped ? text('stopped') : failure(error), isStopped ? '' : 'problem'),
      ]);
    } finally {
      this.#abort = undefined;
      this.#show();
      this.#onEnd();
    }
  }

  async #follow(signal) {
    const response = await request('/console/api/retrain', { body: { model: MODEL }, signal });
    for await (const { event, data } of readEvents(response)) {
      if (event === 'end') return;
      if (event === 'error') throw new ApiError(data.error, 0);
      this.#change(data);
    }
    throw new ApiError(text('unreachable'), 0);
  }

  #change(change) {
    const before = this.#stages.get(change.stage);
    // A stage that was not needed stays so, also when the last message names it.
    const state = before?.state === 'SKIPPED' ? 'SKIPPED' : change.state;
    this.#stages.set(change.stage, { ...change, state, metrics: { ...before?.metrics, ...change.metrics } });
    if (change.result === undefined) this.#show();
    else this.#outcome(() => outcome(change.result));
  }

  #endRunning() {
    for (const [name, stage] of this.#stages) {
      if (stage.state === 'STARTED' || stage.state === 'PROGRESS') {
        this.#stages.set(name, { ...stage, state: 'FAILED' });
      }
    }
  }

  #outcome(show) {
    this.#showOutcome = show;
    this.#parts.outcome.replaceChildren(...show());
    this.#show();
  }

  #show() {
    const isRunning = this.#abort !== undefined;
    const { retrain, stop, stages } = this.#parts;
    retrain.disabled = isRunning;
    stop.hidden = !isRunning;
    stages.replaceChildren(...[...this.#stages].map(([name, stage]) => stageLine(name, stage)));
  }
}

function stageLine(name, stage) {
  const { state, done = 0, total = 0, durationMs, metrics = {} } = stage;
  const line = document.createElement('li');
  line.className = state.toLowerCase();
  const title = span('stage', text(name));
  title.append(span('hidden', ` ${text(`state${state}`)} `));
  const facts = Object.entries(METRICS)
    .filter(([metric]) => metrics[metric] !== undefined)
    .map(([metric, [key, format]]) => text(key, { value: format(metrics[metric]) }));
  line.append(title, span('facts', facts.join(' · ')));
  if (OVER.has(state) && durationMs !== undefined) line.append(span('time', duration(durationMs)));
  if (state === 'STARTED' || state === 'PROGRESS') line.append(progressBar(text(name), done, total));
  return line;
}

function progressBar(label, done, total) {
  const bar = document.createElement('progress');
  bar.setAttribute('aria-label', label);
  if (total > 0) {
    bar.max = total;
    bar.value = Math.min(done, total);
  }
  return bar;
}

function outcome(result) {
  const version = result.version.split('/').at(-1);
  const verdict = paragraph(
    text(result.promoted ? 'promoted' : 'kept', { version }),
    result.promoted ? 'good' : 'kept',
  );
  const figures = document.createElement('dl');
  const old = result.incumbentVersion === '' ? text('none') : percent(result.incumbentAccuracy, 2);
  figures.append(...figure('accuracyOld', old), ...figure('accuracyNew', percent(result.accuracy, 2)));
  const rows = number(result.holdoutRows);
  return [
    verdict,
    figures,
    paragraph(text('measured', { rows, feedback: number(result.feedbackRows) }), 'small'),
  ];
}

function figure(key, value) {
  const term = document.createElement('dt');
  term.textContent = text(key);
  const data = document.createElement('dd');
  data.textContent = value;
  const pair = document.createElement('div');
  pair.append(term, data);
  return [pair];
}

function duration(milliseconds) {
  const unit = milliseconds < 1_000 ? 'millisecond' : 'second';
  const value = unit === 'second' ? milliseconds / 1_000 : milliseconds;
  return number(value, { style: 'unit', unit, maximumFractionDigits: unit === 'second' ? 1 : 0 });
}

function paragraph(words, className = '') {
  const made = document.createElement('p');
  made.className = className;
  made.textContent = words;
  return made;
}

function span(className, words) {
  const made = document.createElement('span');
  made.className = className;
  made.textContent = words;
  return made;
}
