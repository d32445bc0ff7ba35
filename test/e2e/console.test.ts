import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { MonitorService } from 'lamella/proto/lamella/serving/v1/monitor_service';
import { type Browser, launch, type Page } from 'puppeteer-core';
import { parseAddress, withService } from '../../kernel/cli/connect.ts';
import { ROOT } from './serving-kernel.ts';
import { needTool } from './tool.ts';

const CHROMIUM = '/usr/bin/chromium';
const START_TIMEOUT_MS = 90_000;
/** A seven, in parts of the drawing area. */
const SEVEN: readonly (readonly [number, number])[] = [
  [0.25, 0.2],
  [0.72, 0.2],
  [0.58, 0.5],
  [0.45, 0.85],
];

/** The digits example in a home of its own. */
class DigitsKernel {
  readonly url: string;
  /** `host:port` of the gRPC listener. */
  readonly grpc: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, { http, grpc }: { http: string; grpc: string }) {
    this.#child = child;
    this.url = `http://${http}/`;
    this.grpc = grpc;
  }

  static async start(home: string): Promise<DigitsKernel> {
    const readyFile = path.join(home, 'ready.json');
    const main = path.join(ROOT, 'dist', 'kernel', 'cli', 'main.js');
    const ports = ['--grpc-port', '0', '--http-port', '0', '--metrics-port', '0'];
    const files = ['--home', path.join(home, 'kernel'), '--ready-file', readyFile];
    const child = spawn(process.execPath, [main, 'start', '--example', 'digits', ...files, ...ports], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let log = '';
    child.stderr.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-4_000);
    });
    const endMs = Date.now() + START_TIMEOUT_MS;
    while (Date.now() < endMs && child.exitCode === null) {
      const text = await readFile(readyFile, 'utf8').catch(() => undefined);
      if (text !== undefined) {
        return new DigitsKernel(child, JSON.parse(text) as { http: string; grpc: string });
      }
      await delay(50);
    }
    child.kill('SIGKILL');
    throw new Error(`The digits example did not start: ${log}`);
  }

  async stop(): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await exited;
  }
}

describe('the console page in a browser', function () {
  this.timeout(120_000);
  let home: string | undefined;
  let kernel: DigitsKernel | undefined;
  let browser: Browser | undefined;
  let page: Page;
  const problems: string[] = [];

  before('starts the digits example and Chromium', async function () {
    await needTool(this, CHROMIUM, () => access(CHROMIUM));
    home = await mkdtemp(path.join(tmpdir(), 'lamella-console-'));
    kernel = await DigitsKernel.start(home);
    browser = await launch({
      executablePath: CHROMIUM,
      userDataDir: path.join(home, 'browser'),
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    });
  });

  after(async () => {
    await browser?.close();
    await kernel?.stop();
    if (home !== undefined) await rm(home, { recursive: true, force: true });
  });

  beforeEach(async () => {
    page = await open('en-GB', 1280, 800);
  });

  afterEach(async () => {
    await page.close();
    assert.deepEqual(problems.splice(0), []);
  });

  async function open(language: string, width: number, height: number): Promise<Page> {
    assert.ok(browser !== undefined && kernel !== undefined);
    const opened = await browser.newPage();
    // Refused scripts and styles are errors of the page too.
    opened.on('console', (message) => {
      if (message.type() === 'error') problems.push(message.text());
    });
    opened.on('pageerror', (error) => problems.push(String(error)));
    await opened.setViewport({ width, height, isMobile: width < 500, hasTouch: width < 500 });
    await opened.evaluateOnNewDocument(
      `Object.defineProperty(navigator, 'language', { get: () => '${language}' })`,
    );
    await opened.goto(kernel.url, { waitUntil: 'networkidle0' });
    return opened;
  }

  function textOf(selector: string): Promise<string> {
    return page.evaluate(`document.querySelector('${selector}').textContent`) as Promise<string>;
  }

  async function waitFor(condition: string): Promise<void> {
    await page.waitForFunction(condition, { timeout: 30_000 });
  }

  async function drawSeven(): Promise<void> {
    const box = await (await page.$('#canvas'))?.boundingBox();
    assert.ok(box !== undefined && box !== null);
    for (const [index, [x, y]] of SEVEN.entries()) {
      await page.mouse.move(box.x + box.width * x, box.y + box.height * y, { steps: 5 });
      if (index === 0) await page.mouse.down();
    }
    await page.mouse.up();
    await waitFor("!document.querySelector('#correction').disabled");
  }

  it('shows ten probabilities of a drawn seven within 50 ms of lifting the pen', async () => {
    const times: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      await drawSeven();
      times.push(Number.parseInt(await textOf('#timing'), 10));
      assert.match(await textOf('#result'), /^This is 7: \d/);
      await page.click('#clear');
    }
    // The best of five: other work on the machine may delay some.
    assert.ok(Math.min(...times) <= 50, `took ${times.join(', ')} ms`);
  });

  it('shows alerts and models live, silenced by keyboard, in both languages, on a phone too', async () => {
    const text = 'groups: [{name: g, rules: [{alert: Up, expr: process_start_time_seconds > 0}]}]';
    await withService(parseAddress(kernel?.grpc ?? ''), MonitorService, (monitor) =>
      monitor.setRuleFile({ ruleFile: { name: 'ruleFiles/up', text } }),
    );
    await page.close();
    page = await open('zh-CN', 390, 844);
    await page.goto(`${kernel?.url ?? ''}console/page/monitor.html`);
    await waitFor("document.querySelector('#alerts li.firing button')?.textContent === '静默一小时'");
    assert.equal(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), true);
    await page.focus('#alerts li.firing button');
    await page.keyboard.press('Enter');
    await waitFor("document.querySelector('#alerts li.silenced button')?.textContent === '结束静默'");
    await page.focus('#language');
    await page.keyboard.press('Enter');
    await waitFor("document.querySelector('#alerts li.silenced button')?.textContent === 'End the silence'");
    assert.match(await textOf('#alerts li'), /Up · silenced · since/);
    await page.focus('#alerts li button');
    await page.keyboard.press('Space');
    await waitFor("document.querySelector('#alerts li.firing') !== null");
    await waitFor("document.querySelector('#waiting polyline') !== null");
    assert.match(await textOf('#waiting'), /digits: 0/);
    await page.evaluate('localStorage.clear()');
  });

  it('can be drawn on with a finger', async () => {
    await page.close();
    page = await open('en-GB', 390, 844);
    const box = await (await page.$('#canvas'))?.boundingBox();
    assert.ok(box !== undefined && box !== null);
    const at = ([x, y]: readonly [number, number]): [number, number] => [
      box.x + box.width * x,
      box.y + box.height * y,
    ];
    const [start, ...rest] = SEVEN;
    assert.ok(start !== undefined);
    await page.touchscreen.touchStart(...at(start));
    let from = start;
    for (const to of rest) {
      for (let step = 1; step <= 5; step += 1) {
        const between = (index: 0 | 1): number => from[index] + ((to[index] - from[index]) * step) / 5;
        await page.touchscreen.touchMove(...at([between(0), between(1)]));
      }
      from = to;
    }
    await page.touchscreen.touchEnd();
    await waitFor("!document.querySelector('#correction').disabled");
    assert.match(await textOf('#result'), /^This is 7: \d/);
  });

  it('shows shares that add up to one', async () => {
    await drawSeven();
    const shares = (await page.evaluate(
      "[...document.querySelectorAll('#bars .share')].map((share) => parseFloat(share.textContent))",
    )) as number[];
    assert.equal(shares.length, 10);
    const sum = shares.reduce((total, share) => total + share, 0);
    assert.ok(Math.abs(sum - 100) <= 1, `adds up to ${sum} %`);
  });

  it('can be drawn on with the keyboard alone, and cleared with Escape', async () => {
    await page.focus('#canvas');
    for (let step = 0; step < 9; step += 1) await page.keyboard.press('ArrowUp');
    await page.keyboard.press(' ');
    for (let step = 0; step < 18; step += 1) await page.keyboard.press('ArrowDown');
    await page.keyboard.press(' ');
    await waitFor("!document.querySelector('#correction').disabled");
    assert.match(await textOf('#result'), /^This is 1:/);
    await page.keyboard.press('Escape');
    assert.equal(await textOf('#result'), 'Draw a digit to see the answer.');
  });

  it('stores a correction once, and shows it after a reload', async () => {
    await drawSeven();
    await page.click('#digits button:nth-child(3)');
    await waitFor("document.querySelector('#count').textContent === '1 stored'");
    assert.equal(await page.evaluate("document.querySelector('#correction').disabled"), true);
    await page.reload({ waitUntil: 'networkidle0' });
    assert.equal(await textOf('#count'), '1 stored');
    assert.equal(await textOf('#examples .arrow'), '7 → 2');
  });

  it('retrains with the feedback, and says which model is in service', async () => {
    await page.click('#retrain');
    await waitFor(
      "document.querySelector('#outcome dd') !== null || document.querySelector('#outcome .problem') !== null",
    );
    assert.equal(await page.evaluate("document.querySelector('#outcome .problem')?.textContent ?? ''"), '');
    const outcome = await textOf('#outcome');
    assert.match(outcome, /Version 2 (is now in service|stays out of service)/);
    assert.match(outcome, /feedback used: 1/);
    await waitFor("!document.querySelector('#retrain').disabled");
    const states = (await page.evaluate(
      "[...document.querySelectorAll('#stages li')].map((line) => line.className)",
    )) as string[];
    assert.equal(states.length, 9);
    assert.deepEqual(
      [...new Set(states)].filter((state) => state !== 'done' && state !== 'skipped'),
      [],
    );
    const version = outcome.includes('is now in service') ? 2 : 1;
    await waitFor(`document.querySelector('#service').textContent.includes('version ${version},')`);
  });

  it('speaks Chinese to a Chinese browser, and keeps the choice of another language', async () => {
    await page.close();
    page = await open('zh-CN', 1280, 800);
    assert.equal(await page.evaluate('document.documentElement.lang'), 'zh-CN');
    assert.equal(await textOf('#draw-title'), '写一个数字');
    await page.click('#language');
    await page.reload({ waitUntil: 'networkidle0' });
    assert.equal(await page.evaluate('document.documentElement.lang'), 'en');
    await page.evaluate('localStorage.clear()');
  });

  it('fits a phone, with targets of at least 44 pixels', async () => {
    await page.close();
    for (const language of ['en-GB', 'zh-CN']) {
      page = await open(language, 390, 844);
      assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 390);
      const small = await page.evaluate(
        "[...document.querySelectorAll('button')].filter((button) => button.offsetParent !== null && (button.offsetWidth < 44 || button.offsetHeight < 44)).map((button) => button.id || button.textContent)",
      );
      assert.deepEqual(small, []);
      if (language === 'en-GB') await page.close();
    }
  });
});
