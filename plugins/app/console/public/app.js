// Ties the parts of the page together.

import { MODEL, request } from './api.js';
import { Drawing } from './drawing.js';
import { FeedbackView, paintPixels } from './feedback.js';
import { AnswerView, predict } from './predict.js';
import { RetrainView } from './retrain.js';
import { digitImage } from './strokes.js';
import { onLanguage, percent, showTexts, switchLanguage, text } from './text.js';

const ALIAS = 'champion';

const byId = (id) => document.getElementById(id);
const parts = (...ids) => Object.fromEntries(ids.map((id) => [id, byId(id)]));

const answerView = new AnswerView(parts('bars', 'result', 'timing'));
const feedbackView = new FeedbackView(parts('correction', 'digits', 'said', 'count', 'examples'));
new RetrainView(parts('retrain', 'stop', 'stages', 'outcome'), () => {
  void showService();
  void feedbackView.refresh();
});

let asking;
let inService;

const drawing = new Drawing({
  ...parts('canvas', 'cursor'),
  tell: {
    start() {
      asking?.abort();
      byId('invitation').hidden = true;
    },
    lift: (timeMs) => void ask(timeMs),
    clear() {
      asking?.abort();
      byId('invitation').hidden = false;
      paintPixels(byId('seen'), []);
      answerView.clear();
      feedbackView.offer(undefined);
    },
  },
});

async function ask(liftedMs) {
  const pixels = digitImage(drawing.strokes);
  if (pixels === undefined) return;
  asking?.abort();
  const { signal } = (asking = new AbortController());
  try {
    const prediction = await predict(pixels, signal);
    if (signal.aborted) return;
    await answerView.answer(prediction, liftedMs);
    if (signal.aborted) return;
    feedbackView.offer({ pixels, prediction, id: randomId() });
    if (prediction.modelVersion !== String(inService?.version)) void showService();
  } catch (error) {
    if (error.name === 'AbortError') return;
    answerView.fail(error);
    feedbackView.offer(undefined);
  }
  paintPixels(byId('seen'), pixels);
}

/** `crypto.randomUUID` is missing on a page over plain HTTP from another machine, such as a phone's. */
function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('');
}

async function showService() {
  try {
    const { models } = await (await request('/console/api/models')).json();
    const model = models.find((candidate) => candidate.model === MODEL);
    inService = model?.versions.find(({ version }) => version === model.aliases[ALIAS]);
  } catch {
    inService = undefined;
  }
  writeService();
}

function writeService() {
  const accuracy = inService?.metrics.accuracy;
  const key = accuracy === undefined ? 'serviceVersion' : 'serviceAccuracy';
  const words =
    inService === undefined
      ? text('serviceNone')
      : text(key, { version: inService.version, accuracy: percent(accuracy ?? 0, 2) });
  byId('service').textContent = words;
}

byId('clear').addEventListener('click', () => drawing.clear());
addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && event.target !== byId('canvas')) drawing.clear();
});
byId('language').addEventListener('click', switchLanguage);
onLanguage(() => {
  showTexts();
  byId('language').textContent = text('otherLanguage');
  byId('language').setAttribute('aria-label', text('switchLanguage'));
  writeService();
});
paintPixels(byId('seen'), []);
void showService();
void feedbackView.refresh();
