// "Wrong, it is a 7": stores corrections and lists them.

import { failure, MODEL, request } from './api.js';
import { SIDE } from './strokes.js';
import { number, onLanguage, text } from './text.js';

const CLASSES = 10;

/** The card with the feedback. */
export class FeedbackView {
  #parts;
  #answered;
  #list = { count: 0, more: false, items: [] };
  #say = () => '';

  /** `parts` are the elements `correction`, `digits`, `said`, `count` and `examples`. */
  constructor(parts) {
    this.#parts = parts;
    const buttons = Array.from({ length: CLASSES }, (_, digit) => this.#button(digit));
    parts.digits.append(...buttons);
    onLanguage(() => {
      buttons.forEach((button, digit) => button.setAttribute('aria-label', text('itIs', { digit })));
      this.#show();
    });
  }

  /** Lets the person correct an answer: `{ pixels, prediction }`; `undefined` when there is none. */
  offer(answered) {
    this.#answered = answered;
    this.#parts.correction.disabled = answered === undefined;
    this.#tell(() => '');
  }

  /** Reads the list again. */
  async refresh() {
    try {
      const response = await request(`/console/api/feedback?model=${MODEL}`);
      this.#list = await response.json();
      this.#show();
    } catch (error) {
      this.#tell(() => failure(error));
    }
  }

  #button(digit) {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = String(digit);
    button.addEventListener('click', () => void this.#store(digit));
    return button;
  }

  async #store(digit) {
    const answered = this.#answered;
    if (answered === undefined) return;
    this.#parts.correction.disabled = true;
    this.#tell(() => text('storing'));
    try {
      await request('/console/api/feedback', { body: feedbackBody(answered, digit) });
      // One drawing gives one example; what was drawn meanwhile has its own.
      if (this.#answered === answered) this.#answered = undefined;
      await this.refresh();
      this.#tell(() => text('stored', { digit }));
    } catch (error) {
      this.#tell(() => failure(error));
    }
    this.#parts.correction.disabled = this.#answered === undefined;
  }

  #tell(say) {
    this.#say = say;
    this.#parts.said.textContent = say();
  }

  #show() {
    const { count, more, items } = this.#list;
    this.#parts.count.textContent = text(more ? 'countMore' : 'count', { count: number(count) });
    this.#parts.said.textContent = this.#say();
    const entries = items.map(example);
    if (entries.length === 0) {
      const nothing = document.createElement('li');
      nothing.className = 'nothing';
      nothing.textContent = text('noFeedback');
      entries.push(nothing);
    }
    this.#parts.examples.replaceChildren(...entries);
  }
}

function feedbackBody({ pixels, prediction, id }, digit) {
  return {
    model: MODEL,
    modelVersion: prediction.modelVersion,
    pixels: btoa(String.fromCharCode(...pixels)),
    predicted: prediction.label,
    correct: digit,
    // A repeat after a lost answer is stored once.
    requestId: `console-${id}-${digit}`,
  };
}

function example({ predicted, correct, pixels }) {
  const item = document.createElement('li');
  const image = document.createElement('canvas');
  image.width = SIDE;
  image.height = SIDE;
  image.setAttribute('aria-hidden', 'true');
  paintPixels(
    image,
    Uint8Array.from(atob(pixels), (letter) => letter.charCodeAt(0)),
  );
  const sentence = text(predicted === '' ? 'exampleUnanswered' : 'example', { predicted, correct });
  const arrow = span('arrow', predicted === '' ? correct : `${predicted} → ${correct}`);
  arrow.setAttribute('aria-hidden', 'true');
  item.title = sentence;
  item.append(image, arrow, span('hidden', sentence));
  return item;
}

function span(className, words) {
  const made = document.createElement('span');
  made.className = className;
  made.textContent = words;
  return made;
}

/** Paints 784 bytes as the model sees them: light ink on dark paper. */
export function paintPixels(canvas, pixels) {
  const context = canvas.getContext('2d');
  const image = context.createImageData(SIDE, SIDE);
  for (let index = 0; index < SIDE * SIDE; index += 1) {
    const value = pixels[index] ?? 0;
    image.data.set([value, value, value, 255], index * 4);
  }
  context.putImageData(image, 0, 0);
}
