// Asks the model, and shows ten probabilities as bars.

import { failure, MODEL, request } from './api.js';
import { onLanguage, percent, number, text } from './text.js';

const CLASSES = 10;

/** Asks the model for one image: `{ label, probabilities, modelVersion }`. */
export async function predict(pixels, signal) {
  const response = await request(`/v2/models/${MODEL}/infer`, {
    signal,
    body: {
      inputs: [{ name: 'image', datatype: 'UINT8', shape: [1, 28, 28], data: [...pixels] }],
      outputs: [{ name: 'probabilities' }, { name: 'label' }],
    },
  });
  const answer = await response.json();
  const values = (name) => answer.outputs.find((output) => output.name === name).data;
  return {
    label: Number(values('label')[0]),
    probabilities: values('probabilities'),
    modelVersion: String(answer.model_version ?? ''),
  };
}

/** The card with the answer. */
export class AnswerView {
  #bars;
  #result;
  #timing;
  #show = () => this.#showNothing();

  constructor({ bars, result, timing }) {
    this.#result = result;
    this.#timing = timing;
    this.#bars = Array.from({ length: CLASSES }, (_, digit) => bar(bars, digit));
    onLanguage(() => this.#show());
  }

  /** Shows an answer; resolves with the milliseconds since the pen was lifted, measured in the frame that will show it, so up to one frame before it is seen. */
  answer(prediction, liftedMs) {
    this.#show = () => this.#showAnswer(prediction);
    this.#show();
    return new Promise((resolve) => {
      requestAnimationFrame(() => {
        const milliseconds = Math.max(1, Math.round(performance.now() - liftedMs));
        this.#show = () => this.#showAnswer(prediction, milliseconds);
        this.#show();
        resolve(milliseconds);
      });
    });
  }

  clear() {
    this.#show = () => this.#showNothing();
    this.#show();
  }

  fail(error) {
    const isNotReady = error.status === 404 || error.status === 503;
    this.#show = () => {
      this.#showNothing();
      this.#result.textContent = isNotReady ? text('notReady') : failure(error);
      this.#result.classList.add('problem');
    };
    this.#show();
  }

  #showAnswer({ label, probabilities }, milliseconds) {
    this.#write(text('answer', { label, share: percent(probabilities[label]) }));
    this.#bars.forEach(({ item, fill, share }, digit) => {
      fill.style.width = `${probabilities[digit] * 100}%`;
      share.textContent = percent(probabilities[digit]);
      item.classList.toggle('best', digit === label);
    });
    this.#timing.textContent =
      milliseconds === undefined ? '' : text('timing', { milliseconds: number(milliseconds) });
  }

  #showNothing() {
    this.#write(text('waiting'));
    for (const { item, fill, share } of this.#bars) {
      item.classList.remove('best');
      fill.style.width = '0';
      share.textContent = '';
    }
    this.#timing.textContent = '';
  }

  /** Writes only what is new, so that a screen reader says it once. */
  #write(sentence) {
    this.#result.classList.remove('problem');
    if (this.#result.textContent !== sentence) this.#result.textContent = sentence;
  }
}

function bar(list, digit) {
  const item = document.createElement('li');
  item.value = digit;
  const name = element('span', 'digit', String(digit));
  const track = element('span', 'track');
  const fill = element('span', 'fill');
  const share = element('span', 'share');
  track.append(fill);
  item.append(name, track, share);
  list.append(item);
  return { item, fill, share };
}

function element(tag, className, content = '') {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = content;
  return made;
}
