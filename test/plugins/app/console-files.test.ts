import assert from 'node:assert/strict';
import path from 'node:path';
import type { FeedbackService } from 'lamella/proto/lamella/app/v1/feedback_service';
import type { RegistryService } from 'lamella/proto/lamella/model/v1/registry_service';
import type { MonitorService } from 'lamella/proto/lamella/serving/v1/monitor_service';
import type { Client, FetchHandler, Logger } from 'lamella/sdk';
import { consoleHandler } from '../../../plugins/app/console/console-handler.ts';
import { readStaticFiles, type StaticFiles } from '../../../plugins/app/console/static-files.ts';

const PUBLIC = path.resolve('plugins/app/console/public');

function silent(): void {
  // Tests read answers, not logs.
}
const log: Logger = { debug: silent, info: silent, warn: silent, error: silent };

/** Texts by key of one language in `text.js`. */
function textsBetween(source: string, from: string, to: string): Map<string, string> {
  const start = source.indexOf(from);
  const part = source.slice(start, source.indexOf(to, start + from.length));
  return new Map(
    [...part.matchAll(/^ {4}(\w+):\s+'([^']*)'/gm)].map(([, key = '', words = '']) => [key, words]),
  );
}

/** The `{parts}` of a text, in a fixed order. */
function partsOf(words: string): string[] {
  return (words.match(/\{\w+\}/g) ?? []).toSorted();
}

describe('files of app.console', () => {
  let files: StaticFiles;
  before(async () => {
    files = await readStaticFiles(PUBLIC);
  });

  function textOf(name: string): string {
    return files.get(name)?.body ?? '';
  }

  /** The services are never reached from here. */
  function handler(): FetchHandler {
    const feedback: Partial<Client<typeof FeedbackService>> = {};
    const registry: Partial<Client<typeof RegistryService>> = {};
    return consoleHandler({
      files,
      log,
      feedback: feedback as Client<typeof FeedbackService>,
      registry: registry as Client<typeof RegistryService>,
      monitor: {} as Client<typeof MonitorService>,
    });
  }

  async function get(target: string, init: RequestInit = {}): Promise<Response> {
    const request = new Request(`http://127.0.0.1${target}`, init);
    return handler()(request, { signal: new AbortController().signal, peer: '127.0.0.1' });
  }

  async function errorOf(response: Response): Promise<string> {
    return ((await response.json()) as { error: string }).error;
  }

  it('serves the page with a policy that allows no inline script', async () => {
    const response = await get('/');
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type') ?? '', /^text\/html/);
    const policy = response.headers.get('content-security-policy') ?? '';
    assert.match(policy, /default-src 'none'/);
    assert.doesNotMatch(policy, /unsafe/);
    const page = await response.text();
    assert.doesNotMatch(page, /<script(?![^>]*\ssrc=)|\sstyle=|\son\w+=/);
  });

  it('serves every file that the page and its scripts name', async () => {
    for (const [name, { body }] of files) {
      const html = [...body.matchAll(/(?:src|href)="(\/[^"]+)"/g)];
      const imports = [...body.matchAll(/from '\.(\/[^']+)'/g)];
      const named = [
        ...html.map(([, target = '']) => target),
        ...imports.map(([, target = '']) => `/console/page${target}`),
      ];
      for (const target of named) {
        assert.ok(files.has(target), `${name} names ${target}`);
      }
    }
  });

  it('has each text in both languages, with the same parts', () => {
    const source = textOf('/console/page/text.js');
    const english = textsBetween(source, '  en: {', '  zh: {');
    const chinese = textsBetween(source, '  zh: {', '\n};');
    assert.ok(english.size > 40);
    assert.deepEqual([...chinese.keys()], [...english.keys()]);
    assert.deepEqual([...chinese.values()].map(partsOf), [...english.values()].map(partsOf));
    const pages = textOf('/') + textOf('/console/page/monitor.html');
    const used = [...pages.matchAll(/data-(?:text|label)="(\w+)"/g)].map((match) => match[1] ?? '');
    assert.deepEqual(
      used.filter((key) => !english.has(key)),
      [],
    );
  });

  it('answers 304 to a browser that has the file', async () => {
    const etag = (await get('/console/page/app.js')).headers.get('etag') ?? '';
    const again = await get('/console/page/app.js', { headers: { 'if-none-match': `"other", W/${etag}` } });
    assert.equal(again.status, 304);
    assert.equal(await again.text(), '');
  });

  it('sends no body to HEAD and refuses other methods', async () => {
    const head = await get('/', { method: 'HEAD' });
    assert.equal(head.status, 200);
    assert.equal(await head.text(), '');
    const refused = await get('/', { method: 'DELETE' });
    assert.equal(refused.status, 405);
    assert.equal(refused.headers.get('allow'), 'GET');
  });

  it('answers 404 to every other path, also one that climbs', async () => {
    for (const target of ['/nothing', '/%2e%2e/plugin.json', '/..%2fplugin.ts', '/console/api/other']) {
      const response = await get(target);
      assert.equal(response.status, 404, target);
      assert.match(await errorOf(response), /There is nothing at/);
    }
  });
});
