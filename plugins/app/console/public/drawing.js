// The drawing area: mouse, pen, finger and keyboard.

import { drawStrokes } from './strokes.js';

const SIZE = 280;
const PEN = 20;
const STEP = 10;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Collects strokes, and tells when the pen is lifted and when everything is wiped away. */
export class Drawing {
  strokes = [];
  #canvas;
  #context;
  #cursor;
  #tell;
  #pointer;
  #pen;
  #at = { x: SIZE / 2, y: SIZE / 2 };

  /** `tell` has `start()`, `lift(timeMs)` and `clear()`. */
  constructor({ canvas, cursor, tell }) {
    this.#canvas = canvas;
    this.#cursor = cursor;
    this.#tell = tell;
    this.#context = canvas.getContext('2d');
    // A sharp line on dense screens; all coordinates stay those of 280 x 280.
    const density = Math.min(Math.ceil(window.devicePixelRatio || 1), 3);
    canvas.width = SIZE * density;
    canvas.height = SIZE * density;
    this.#context.scale(density, density);
    this.#listen();
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#paint());
  }

  /** Wipes everything away. */
  clear() {
    this.strokes = [];
    this.#pointer = undefined;
    this.#pen = undefined;
    this.#paint();
    this.#showCursor();
    this.#tell.clear();
  }

  #listen() {
    const canvas = this.#canvas;
    canvas.addEventListener('pointerdown', (event) => this.#down(event));
    canvas.addEventListener('pointermove', (event) => this.#move(event));
    canvas.addEventListener('pointerup', (event) => this.#up(event));
    canvas.addEventListener('pointercancel', (event) => this.#up(event));
    canvas.addEventListener('keydown', (event) => this.#key(event));
    canvas.addEventListener('focus', () => this.#showCursor());
    canvas.addEventListener('blur', (event) => {
      if (this.#pen !== undefined) this.#liftKeyboardPen(event.timeStamp);
      this.#showCursor();
    });
  }

  #down(event) {
    if (event.button !== 0 || this.#pointer !== undefined) return;
    this.#pointer = event.pointerId;
    this.#pen = undefined;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#begin(this.#point(event));
  }

  #move(event) {
    if (event.pointerId !== this.#pointer) return;
    const parts = event.getCoalescedEvents?.() ?? [];
    for (const part of parts.length > 0 ? parts : [event]) this.strokes.at(-1).push(this.#point(part));
    this.#paint();
  }

  #up(event) {
    if (event.pointerId !== this.#pointer) return;
    this.#pointer = undefined;
    this.#tell.lift(event.timeStamp);
  }

  #key(event) {
    const arrow = ARROWS[event.key];
    if (arrow !== undefined) this.#moveCursor(arrow, event.shiftKey ? 2 : 1);
    else if (event.key === ' ' && !event.repeat) this.#togglePen(event.timeStamp);
    else if (event.key === 'Escape') this.clear();
    if (arrow !== undefined || event.key === ' ') event.preventDefault();
  }

  #moveCursor([x, y], steps) {
    const inside = (value) => Math.max(PEN / 2, Math.min(SIZE - PEN / 2, value));
    this.#at = { x: inside(this.#at.x + x * STEP * steps), y: inside(this.#at.y + y * STEP * steps) };
    this.#pen?.push(this.#at);
    this.#paint();
    this.#showCursor();
  }

  #togglePen(timeMs) {
    if (this.#pointer !== undefined) return;
    if (this.#pen === undefined) this.#pen = this.#begin(this.#at);
    else this.#liftKeyboardPen(timeMs);
    this.#showCursor();
  }

  #liftKeyboardPen(timeMs) {
    this.#pen = undefined;
    this.#tell.lift(timeMs);
  }

  #begin(point) {
    this.#tell.start();
    const stroke = [point];
    this.strokes.push(stroke);
    this.#paint();
    return stroke;
  }

  #point({ clientX, clientY }) {
    const box = this.#canvas.getBoundingClientRect();
    return { x: ((clientX - box.left) / box.width) * SIZE, y: ((clientY - box.top) / box.height) * SIZE };
  }

  #paint() {
    this.#context.clearRect(0, 0, SIZE, SIZE);
    this.#context.strokeStyle = getComputedStyle(this.#canvas).color;
    drawStrokes(this.#context, this.strokes, PEN);
  }

  /** The cursor is for the keyboard: it shows while the drawing area has a visible focus. */
  #showCursor() {
    this.#cursor.hidden = !this.#canvas.matches(':focus-visible');
    this.#cursor.classList.toggle('down', this.#pen !== undefined);
    this.#cursor.style.left = `${(this.#at.x / SIZE) * 100}%`;
    this.#cursor.style.top = `${(this.#at.y / SIZE) * 100}%`;
  }
}
