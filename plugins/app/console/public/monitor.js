// The page that shows alerts and models, and asks again every few seconds while somebody looks.

import { failure, request } from './api.js';
import { number, onLanguage, showTexts, switchLanguage, text } from './text.js';

const PERIOD_MS = 5_000;
const SILENCE_MINUTES = 60;
const CHARTS = ['requests', 'failures', 'latency', 'waiting'];
const WIDTH = 300;
const HEIGHT = 100;
const MODELS = 8;

const byId = (id) => document.getElementById(id);
let seen;
let problem;

async function refresh() {
  try {
    seen = await (await request('/console/api/monitor')).json();
    problem = undefined;
  } catch (error) {
    problem = error;
  }
  show();
}

function show() {
  byId('problem').textContent =
    problem === undefined ? '' : problem.status === 503 ? text('monitorMissing') : failure(problem);
  if (seen === undefined) return;
  const { alerts, charts, troubled } = seen;
  const firing = alerts.filter(({ isFiring }) => isFiring).length;
  byId('alert-count').textContent = number(firing);
  const words = [
    alerts.length === 0 ? text('noAlerts') : '',
    troubled.length === 0 ? '' : text('troubled', { names: troubled.join(', ') }),
  ];
  const state = words.filter((part) => part !== '').join(' ');
  // Told aloud only when it changes.
  if (byId('state').textContent !== state) byId('state').textContent = state;
  showAlerts(alerts);
  showDrift(seen.drift, seen.driftProblems);
  for (const name of CHARTS) showChart(byId(name), charts[name], name === 'latency' ? 1_000 : 1);
}

function showAlerts(alerts) {
  const list = byId('alerts');
  const focused = document.activeElement?.dataset?.alert;
  list.replaceChildren(...alerts.map(alertItem));
  if (focused !== undefined) list.querySelector(`[data-alert="${CSS.escape(focused)}"]`)?.focus();
}

/** Only where somebody has models watched; the furthest features are enough to see what goes on. */
function showDrift(drift, problems) {
  const reasons = Object.entries(problems).map(([model, problem]) =>
    text('driftProblem', { model, problem }),
  );
  byId('drift-card').hidden = drift.length === 0 && reasons.length === 0;
  byId('drift-state').textContent = reasons.join(' ');
  byId('drift').replaceChildren(...drift.map(driftItem));
}

function driftItem({ model, feature, stabilityIndex, isDrifted, sinceMs }) {
  const item = document.createElement('li');
  item.className = isDrifted ? 'drifted' : '';
  const time = new Date(sinceMs).toLocaleString(document.documentElement.lang);
  const value = number(stabilityIndex, { maximumFractionDigits: 2 });
  const state = isDrifted ? text('driftSince', { time }) : text('driftNone');
  item.textContent = [text('driftFeature', { model, feature, value }), state].join(' · ');
  return item;
}

function alertItem(alert) {
  const item = document.createElement('li');
  const isSilenced = alert.silences.length > 0;
  item.className = isSilenced ? 'silenced' : alert.isFiring ? 'firing' : 'pending';
  const words = document.createElement('div');
  const title = document.createElement('strong');
  title.textContent = alert.summary === '' ? alert.name : alert.summary;
  const state = text(isSilenced ? 'alertSilenced' : alert.isFiring ? 'alertFiring' : 'alertPending');
  const time = new Date(alert.activeMs).toLocaleTimeString(document.documentElement.lang);
  const details = [alert.name, alert.severity, state, text('alertSince', { time })];
  words.append(title, paragraph(alert.description), paragraph(details.filter(Boolean).join(' · ')));
  item.append(words, silenceButton(alert, isSilenced));
  return item;
}

function paragraph(words) {
  const element = document.createElement('p');
  element.className = 'help';
  element.textContent = words;
  return element;
}

function silenceButton(alert, isSilenced) {
  const button = document.createElement('button');
  button.type = 'button';
  button.dataset.alert = alert.id;
  button.textContent = text(isSilenced ? 'unsilence' : 'silence');
  button.addEventListener('click', async () => {
    button.disabled = true;
    try {
      if (isSilenced) {
        for (const name of alert.silences) {
          await request('/console/api/monitor/unsilence', { body: { name } });
        }
      } else {
        const body = { labels: alert.labels, minutes: SILENCE_MINUTES };
        await request('/console/api/monitor/silence', { body });
      }
      await refresh();
    } catch (error) {
      problem = error;
      show();
    }
  });
  return button;
}

function showChart(chart, lines, scale) {
  const shown = lines.filter(({ points }) => points.length > 0).slice(0, MODELS);
  if (shown.length === 0) {
    chart.replaceChildren(paragraph(text('chartEmpty')));
    return;
  }
  const points = shown.flatMap((line) => line.points);
  const times = points.map(([timeMs]) => timeMs);
  const first = Math.min(...times);
  const span = Math.max(Math.max(...times) - first, 1);
  const top = Math.max(...points.map(([, value]) => value), Number.MIN_VALUE);
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('aria-hidden', 'true');
  svg.append(shape('line', { x1: 0, x2: WIDTH, y1: HEIGHT - 1, y2: HEIGHT - 1 }));
  for (const line of shown) {
    const at = ([timeMs, value]) =>
      `${((timeMs - first) / span) * WIDTH},${HEIGHT - 1 - (value / top) * (HEIGHT - 4)}`;
    svg.append(shape('polyline', { points: line.points.map(at).join(' ') }));
  }
  const options = { maximumSignificantDigits: 3 };
  const now = shown.map(({ model, points: own }) =>
    text('chartNow', { model, value: number(own.at(-1)[1] * scale, options) }),
  );
  chart.replaceChildren(svg, paragraph(now.join(' · ')));
}

function shape(name, attributes) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

byId('language').addEventListener('click', switchLanguage);
onLanguage(() => {
  showTexts();
  byId('language').textContent = text('otherLanguage');
  byId('language').setAttribute('aria-label', text('switchLanguage'));
  show();
});
addEventListener('visibilitychange', () => {
  if (!document.hidden) void refresh();
});

/** One question after the other: a slow server is not asked faster than it answers. */
async function watch() {
  if (!document.hidden) await refresh();
  setTimeout(() => void watch(), PERIOD_MS);
}
void watch();
