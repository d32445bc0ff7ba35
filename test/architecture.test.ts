import assert from 'node:assert/strict';
import { access, readFile } from 'node:fs/promises';
import path from 'node:path';
import { configurationCatalogue, renderConfiguration } from '../scripts/configuration-catalogue.ts';
import { errorCatalogue, renderErrors } from '../scripts/error-catalogue.ts';
import { ROOT } from '../scripts/run-command.ts';

const REPAIR = "the page is not what the sources say; run 'npm run fix'";

function page(name: string): Promise<string> {
  return readFile(path.join(ROOT, 'docs', name), 'utf8');
}

describe('architecture', () => {
  it('documents every error that is declared, and none that is not', async () => {
    assert.equal(await page('errors.md'), renderErrors(await errorCatalogue()), REPAIR);
  });

  it('documents every option that there is, and none that there is not', async () => {
    assert.equal(await page('configuration.md'), renderConfiguration(await configurationCatalogue()), REPAIR);
  });

  it('gives a reason one meaning within a domain', async () => {
    const names = (await errorCatalogue()).map(({ domain, reason }) => `${domain} ${reason}`);
    const twice = names.filter((name, index) => names.indexOf(name) !== index);
    assert.deepEqual(twice, []);
  });

  it('describes every option', async () => {
    const bare = (await configurationCatalogue()).flatMap(({ owner, options }) =>
      Object.entries(options)
        .filter(([, { description }]) => description === undefined || description === '')
        .map(([option]) => `${owner} ${option}`),
    );
    assert.deepEqual(bare, []);
  });

  it('shows each feature by a test that there is', async () => {
    const rows = (await page('features.md')).split('\n').filter((line) => /^\| [A-Z]/.test(line));
    assert.ok(rows.length > 20);
    for (const row of rows) {
      const files = [...row.matchAll(/`(test\/[\w./-]+\.test\.ts)`/g)].map(([, file = '']) => file);
      assert.ok(files.length > 0, row);
      await Promise.all(files.map((file) => access(path.join(ROOT, file))));
    }
  });
});
