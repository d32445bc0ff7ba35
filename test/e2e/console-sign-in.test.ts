import assert from 'node:assert/strict';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Browser, launch, type Page } from 'puppeteer-core';
import type { FeedbackService } from 'lamella/proto/lamella/app/v1/feedback_service';
import type { RegistryService } from 'lamella/proto/lamella/model/v1/registry_service';
import type { MonitorService } from 'lamella/proto/lamella/serving/v1/monitor_service';
import type { Client } from 'lamella/sdk';
import { createLogger } from '../../kernel/logger.ts';
import { HttpListener } from '../../kernel/server/http-listener.ts';
import { CredentialsRequired } from '../../kernel/access/errors.ts';
import { consoleHandler } from '../../plugins/app/console/console-handler.ts';
import { readStaticFiles } from '../../plugins/app/console/static-files.ts';
import { Roles } from '../../kernel/access/roles.ts';
import { httpOperation } from '../../kernel/access/access.ts';
import { ROOT } from './serving-kernel.ts';
import { needTool } from './tool.ts';

const CHROMIUM = '/usr/bin/chromium';
const GOOD = 'lml_good';

/** A registry with one model and no feedback. */
const registry: Partial<Client<typeof RegistryService>> = {};
const feedback: Partial<Client<typeof FeedbackService>> = {};

describe('the console page where the kernel asks who calls', function () {
  this.timeout(120_000);
  let home = '';
  let listener: HttpListener;
  let browser: Browser;
  let page: Page;
  let url = '';
  const keys: (string | undefined)[] = [];

  before(async function () {
    await needTool(this, CHROMIUM, () => access(CHROMIUM));
    home = await mkdtemp(path.join(tmpdir(), 'lamella-sign-in-'));
    const log = createLogger({ level: 'silent' });
    const roles = new Roles();
    listener = new HttpListener({
      name: 'http',
      host: '127.0.0.1',
      port: 0,
      log,
      admit: (incoming, { pathname }) => {
        const operation = httpOperation(incoming.method ?? 'GET', pathname);
        const key = incoming.headers.authorization?.replace('Bearer ', '');
        if (pathname.startsWith('/console/api')) keys.push(key);
        if (key === undefined && !roles.decide(['page'], operation).isAllowed) {
          throw new CredentialsRequired({ operation, rule: 'none' });
        }
        if (key !== undefined && key !== GOOD) throw new CredentialsRequired({ operation, rule: 'wrong' });
        return {};
      },
    });
    const files = await readStaticFiles(path.join(ROOT, 'plugins/app/console/public'));
    const parts = {
      files,
      log,
      feedback: feedback as Client<typeof FeedbackService>,
      registry: registry as Client<typeof RegistryService>,
      monitor: {} as Client<typeof MonitorService>,
    };
    const handler = consoleHandler(parts);
    listener.mount(
      '/',
      (request, context) => {
        const { pathname } = new URL(request.url);
        if (!pathname.startsWith('/console/api')) return handler(request, context);
        if (pathname.endsWith('/models')) return Response.json({ models: [] });
        return Response.json({ count: 3, more: false, items: [] });
      },
      'app.console',
    );
    const { port } = await listener.listen();
    url = `http://127.0.0.1:${port}/`;
    browser = await launch({
      executablePath: CHROMIUM,
      userDataDir: path.join(home, 'browser'),
      args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
    });
    page = await browser.newPage();
    await page.evaluateOnNewDocument("Object.defineProperty(navigator, 'language', { get: () => 'en-GB' })");
  });

  after(async () => {
    await browser?.close();
    await listener?.close();
    if (home !== '') await rm(home, { recursive: true, force: true });
  });

  const waitFor = (condition: string): Promise<unknown> =>
    page.waitForFunction(condition, { timeout: 60_000 });
  const OPEN = "document.querySelector('#sign-in').open";

  it('loads without a key, asks for one, says when it is wrong, and works with the right one', async () => {
    await page.goto(url, { waitUntil: 'load' });
    await waitFor(OPEN);
    assert.deepEqual([...new Set(keys.splice(0))], [undefined]);
    await page.type('#key', 'lml_bad');
    await page.keyboard.press('Enter');
    await waitFor(
      `${OPEN} && document.querySelector('#sign-in-problem').textContent.includes('does not accept')`,
    );
    await page.type('#key', GOOD);
    await page.keyboard.press('Enter');
    await waitFor("document.querySelector('#count').textContent === '3 stored'");
    assert.equal(await page.evaluate(OPEN), false);
  });

  it('keeps the key for the tab only, and forgets it when asked to', async () => {
    await page.reload({ waitUntil: 'load' });
    await waitFor("document.querySelector('#count').textContent === '3 stored'");
    assert.equal(await page.evaluate('Object.values(localStorage).join() + document.cookie'), '');
    const other = await browser.newPage();
    assert.equal(
      await other.goto(url).then(() => other.evaluate("sessionStorage.getItem('lamella.key')")),
      null,
    );
    await other.close();
    await page.bringToFront();
    await page.click('#leave');
    await waitFor(OPEN);
    assert.equal(await page.evaluate("sessionStorage.getItem('lamella.key')"), null);
  });

  it('asks in Chinese as well, and lets the person go on without a key', async () => {
    await page.click('#sign-in-cancel');
    await waitFor("document.querySelector('#said').textContent.startsWith('It did not work')");
    await page.click('#language');
    assert.equal(await page.evaluate("document.querySelector('#sign-in-title').textContent"), '请说明身份');
  });
});
